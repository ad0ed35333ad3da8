//! What the SDK asks of a server: who it is, its tools, its resources.

use rmcp::RoleServer;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;

use super::desk::Desk;
use super::{resources, tools};

/// What a client tells its model of this server.
const INSTRUCTIONS: &str = "Boathouse keeps collections of texts and answers from them. Read boathouse://collections \
for their names. `search` finds passages, `answer` answers a question from a collection with citations, `validate` \
judges a draft before anyone acts on it, `ingest` stores texts, `feedback` records what a person thought of an answer, \
by the `id` that came with it. A citation and a hit carry a `uri` that can be read.";

/// The server of one message: it has no state.
pub(super) struct Server;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("boathouse", env!("CARGO_PKG_VERSION")).with_title("Boathouse"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::find(name).map(|entry| entry.tool.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = tools::find(&request.name) else {
            let name: String = request.name.chars().take(100).collect();
            let known = tools::names().join(", ");
            let message = format!("no tool named {name}; there are: {known}");
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let call = entry.call;
        let done = Desk::of(&context)?.run(move |visit| call(visit, arguments));
        Ok(done.await?.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let listed = Desk::of(&context)?.run(|visit| async move { resources::list(&visit) });
        Ok(ListResourcesResult::with_all_items(listed.await?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = resources::templates();
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = Desk::of(&context)?
            .run(|visit| async move { resources::read(&visit, &request.uri).await });
        Ok(read.await??.into())
    }
}
