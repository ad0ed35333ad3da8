//! Whole collections out and in, exactly as they are.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Services;
use super::collections::{self, PointInput, UpsertInput};
use super::error::{ServiceError, fault};
use crate::engines::index::{Code, Refinement, Rows, text_hash};
use crate::types::collection::CollectionSpec;
use crate::types::error_kind::ErrorKind;
use crate::types::export::{EXPORT_FORMAT, ExportHead, ExportLine, SecondVector};
use crate::types::point::Point;

/// Bytes of points, about, in one piece of an export.
const PIECE_BYTES: usize = 256 << 10;

/// A collection as it was at one moment.
pub struct Export {
    spec: Arc<CollectionSpec>,
    rows: Rows,
}

/// Takes a view of the whole collection; later writes do not touch it.
pub async fn export(services: &Services, name: &str) -> Result<Export, ServiceError> {
    let cell = services.collections.find(name).await?;
    let view = cell.view(services.deadline()).await;
    let (spec, rows) = view.map_err(|failed| fault(name, failed))?;
    Ok(Export { spec, rows })
}

/// Where an export is.
enum At {
    Head,
    Row(u32),
    End,
    Over,
}

impl Export {
    /// Writes it as [lines](crate::types::export), piece by piece, as fast as they are taken.
    pub fn lines(self) -> impl Stream<Item = Result<Bytes, ServiceError>> {
        try_unfold((self, At::Head), |(export, at)| async move {
            if matches!(at, At::Over) {
                return Ok(None);
            }
            // Copying and formatting some hundred vectors would hold up the thread's other requests.
            tokio::task::spawn_blocking(move || {
                let (piece, next) = export.piece(&at)?;
                Ok(Some((piece, (export, next))))
            })
            .await
            .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?
        })
    }

    fn piece(&self, at: &At) -> Result<(Bytes, At), ServiceError> {
        let mut bytes = Vec::new();
        let next = match at {
            At::Head => {
                let head = ExportHead {
                    format: EXPORT_FORMAT,
                    points: self.rows.live(),
                    spec: CollectionSpec::clone(&self.spec),
                };
                write(&ExportLine::head(head), &mut bytes)?;
                At::Row(0)
            }
            At::Row(from) => {
                let (run, next) = self.rows.run(*from, PIECE_BYTES);
                for (point, code) in run {
                    write(&line(point, code), &mut bytes)?;
                }
                next.map_or(At::End, At::Row)
            }
            At::End | At::Over => {
                write(&ExportLine::end(self.rows.live()), &mut bytes)?;
                At::Over
            }
        };
        Ok((bytes.into(), next))
    }
}

fn line(point: Point, code: Option<Code>) -> ExportLine {
    let refined = code.map(|Code { scale, codes }| {
        let codes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
        SecondVector {
            scale,
            codes: STANDARD.encode(codes),
        }
    });
    ExportLine::of(point, refined)
}

fn write(line: &ExportLine, bytes: &mut Vec<u8>) -> Result<(), ServiceError> {
    serde_json::to_writer(&mut *bytes, line)
        .map_err(|error| ServiceError::new(ErrorKind::Internal, error.to_string()))?;
    bytes.push(b'\n');
    Ok(())
}

/// A request to `POST /v1/collections/{name}/import`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CollectionImportInput)]
pub struct ImportInput {
    /// Fingerprint of the model that made the vectors: a collection of another one refuses them.
    pub fingerprint: Option<String>,
    /// Fingerprint of the model that made the second vectors. Needed when a point has one.
    pub refiner_fingerprint: Option<String>,
    /// Inserted, or replacing those of the same id; all or none.
    #[schema(min_items = 1)]
    pub points: Vec<ImportPoint>,
}

/// A point of an export.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPoint {
    /// A string, or a number that is kept as one.
    #[schema(example = "a1")]
    pub id: collections::PointId,
    /// `dim` finite numbers; left out: the text is embedded.
    pub vector: Option<Vec<f32>>,
    /// The text.
    pub text: Option<String>,
    /// The payload.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub payload: serde_json::Map<String, serde_json::Value>,
    /// The vector of the better model: `{"scale": number, "codes": base64}`.
    pub refined: Option<SecondVector>,
}

/// Inserts or replaces points as they were exported; durable when it returns. Returns how many there were.
///
/// Errors: vectors of another model, or of another length; then nothing is written.
pub async fn import(
    services: &Services,
    name: &str,
    input: ImportInput,
) -> Result<usize, ServiceError> {
    let cell = services.collections.find(name).await?;
    let spec = collections::spec_of(services, name, &cell).await?;
    same_model(&spec, input.fingerprint.as_deref())?;
    let mut refinements = Vec::new();
    let mut points = Vec::with_capacity(input.points.len());
    for (at, point) in input.points.into_iter().enumerate() {
        let id = String::from(point.id);
        if let Some(refined) = point.refined {
            let wrong = |reason: String| {
                let param = format!("points[{at}].refined");
                ServiceError::bad_request(format!("{param}: {reason}")).param(param)
            };
            let code =
                code(&spec, input.refiner_fingerprint.as_deref(), &refined).map_err(wrong)?;
            let text = point.text.as_deref();
            let text = text.ok_or_else(|| wrong("the point has no text".to_owned()))?;
            refinements.push(Refinement {
                id: id.clone(),
                text: text_hash(text),
                code,
            });
        }
        points.push(PointInput {
            id: collections::PointId::Text(id),
            text: point.text,
            vector: point.vector,
            payload: point.payload,
        });
    }
    let upsert = UpsertInput {
        points,
        truncate: true,
    };
    let count = collections::write(services, name, upsert, input.fingerprint, None).await?;
    if !refinements.is_empty() {
        cell.refine(refinements, services.deadline())
            .await
            .map_err(|failed| fault(name, failed))?;
    }
    Ok(count)
}

fn same_model(spec: &CollectionSpec, fingerprint: Option<&str>) -> Result<(), ServiceError> {
    match (fingerprint, &spec.fingerprint) {
        (Some(theirs), Some(own)) if theirs != own => Err(ServiceError::new(
            ErrorKind::Conflict,
            format!(
                "the vectors were made by a model of fingerprint {theirs}, those of collection {} by {own}; leave vector and fingerprint out to embed the texts anew",
                spec.name
            ),
        )
        .param("fingerprint")),
        _ => Ok(()),
    }
}

/// Reads a second vector, or says why it does not fit.
fn code(
    spec: &CollectionSpec,
    fingerprint: Option<&str>,
    refined: &SecondVector,
) -> Result<Code, String> {
    let Some(refiner) = &spec.refiner else {
        return Err("the collection has no refiner; leave it out".to_owned());
    };
    if fingerprint != Some(&refiner.fingerprint) {
        return Err(format!(
            "refiner_fingerprint must be {}, that of the collection's refiner; leave refined out to have it made anew",
            refiner.fingerprint
        ));
    }
    let codes = STANDARD
        .decode(&refined.codes)
        .map_err(|error| format!("codes is not base64: {error}"))?;
    if codes.len() != refiner.dim {
        return Err(format!(
            "wrong dimension: expected {}, got {}",
            refiner.dim,
            codes.len()
        ));
    }
    if !(refined.scale.is_finite() && refined.scale >= 0.0) {
        return Err("scale must be finite and not negative".to_owned());
    }
    let codes = codes.into_iter().map(u8::cast_signed).collect();
    Ok(Code {
        scale: refined.scale,
        codes,
    })
}
