//! The BERT encoder: token ids to one vector for each token.
//!
//! Texts lie behind one another in one matrix without padding: only attention knows where one ends.
//! So a text's vectors do not depend on what it was sent with, and no arithmetic is wasted.

use std::collections::HashMap;

use candle_core::{DType, Device, Error, Result, Tensor};

use super::kernels::{AddNorm, Attention, BiasGelu};
use super::settings::Settings;

/// The weights, ready to multiply.
pub(super) struct Encoder {
    words: Tensor,
    /// Positions, with the type of a first text added to each.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    /// Query, key and value in one.
    attend: Dense,
    project: Dense,
    project_norm: Norm,
    widen: Dense,
    narrow: Dense,
    narrow_norm: Norm,
}

/// A matrix `[in, out]` and its bias `[out]`, which the next step adds.
struct Dense {
    matrix: Tensor,
    bias: Tensor,
}

/// Layer norm of a sum: the rows are the bias of what is added, gain and shift.
struct Norm {
    rows: Tensor,
    eps: f64,
}

impl Encoder {
    /// Takes the weights out of `tensors`, as `model.safetensors` names them.
    ///
    /// Errors: a tensor that is missing or has another shape than `settings` say.
    pub(super) fn new(settings: &Settings, tensors: &HashMap<String, Tensor>) -> Result<Self> {
        let weights = Weights(tensors);
        let (hidden, wide) = (settings.hidden_size, settings.intermediate_size);
        let eps = settings.layer_norm_eps;
        let part = |name: &str| format!("embeddings.{name}");
        let words = weights.take(
            &part("word_embeddings.weight"),
            &[settings.vocab_size, hidden],
        )?;
        let shape = [settings.max_position_embeddings, hidden];
        let positions = weights.take(&part("position_embeddings.weight"), &shape)?;
        let shape = [settings.type_vocab_size, hidden];
        let types = weights.take(&part("token_type_embeddings.weight"), &shape)?;
        let nothing = Tensor::zeros(hidden, DType::F32, &Device::Cpu)?;
        let norm = weights.norm(&part("LayerNorm"), &nothing, eps)?;
        let layer = |at: usize| {
            let part = |name: &str| format!("encoder.layer.{at}.{name}");
            let attend = ["query", "key", "value"]
                .map(|name| weights.dense(&part(&format!("attention.self.{name}")), hidden, hidden))
                .into_iter()
                .collect::<Result<Vec<_>>>()?;
            let matrices: Vec<&Tensor> = attend.iter().map(|dense| &dense.matrix).collect();
            let biases: Vec<&Tensor> = attend.iter().map(|dense| &dense.bias).collect();
            let project = weights.dense(&part("attention.output.dense"), hidden, hidden)?;
            let name = part("attention.output.LayerNorm");
            let project_norm = weights.norm(&name, &project.bias, eps)?;
            let narrow = weights.dense(&part("output.dense"), wide, hidden)?;
            let narrow_norm = weights.norm(&part("output.LayerNorm"), &narrow.bias, eps)?;
            Ok(Layer {
                attend: Dense {
                    matrix: Tensor::cat(&matrices, 1)?.contiguous()?,
                    bias: Tensor::cat(&biases, 0)?,
                },
                project,
                project_norm,
                widen: weights.dense(&part("intermediate.dense"), hidden, wide)?,
                narrow,
                narrow_norm,
            })
        };
        Ok(Self {
            positions: positions.broadcast_add(&types.narrow(0, 0, 1)?)?,
            words,
            norm,
            layers: (0..settings.num_hidden_layers)
                .map(layer)
                .collect::<Result<_>>()?,
            heads: settings.num_attention_heads,
        })
    }

    /// Returns the last layer's vector of every token of every text, in order.
    ///
    /// Shapes: `[sum of the texts' lengths, hidden]`. Errors: an id or a position that the model
    /// does not have.
    pub(super) fn hidden_states(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let ids: Vec<u32> = texts.concat();
        let places: Vec<u32> = texts
            .iter()
            .flat_map(|text| (0..).take(text.len()))
            .collect();
        let (ids, places) = (row(ids)?, row(places)?);
        let mut state = self.words.index_select(&ids, 0)?;
        let places = self.positions.index_select(&places, 0)?;
        self.norm.apply(&state, &places)?;
        let attention = Attention {
            heads: self.heads,
            lengths: texts.iter().map(|text| text.len()).collect(),
        };
        for layer in &self.layers {
            let mixed = state.matmul(&layer.attend.matrix)?;
            let mixed = mixed.apply_op2_no_bwd(&layer.attend.bias, &attention)?;
            let mixed = mixed.matmul(&layer.project.matrix)?;
            layer.project_norm.apply(&mixed, &state)?;
            let wide = mixed.matmul(&layer.widen.matrix)?;
            wide.inplace_op2(&layer.widen.bias, &BiasGelu)?;
            state = wide.matmul(&layer.narrow.matrix)?;
            layer.narrow_norm.apply(&state, &mixed)?;
        }
        Ok(state)
    }

    /// Returns the input embeddings of `ids`, before position and norm.
    ///
    /// Shapes: `[ids, hidden]`.
    pub(super) fn word_embeddings(&self, ids: &[u32]) -> Result<Tensor> {
        self.words.index_select(&row(ids.to_vec())?, 0)
    }
}

impl Norm {
    /// Adds `other` and the bias to `state`, and norms its rows.
    fn apply(&self, state: &Tensor, other: &Tensor) -> Result<()> {
        state.inplace_op3(other, &self.rows, &AddNorm { eps: self.eps })
    }
}

fn row(numbers: Vec<u32>) -> Result<Tensor> {
    let len = numbers.len();
    Tensor::from_vec(numbers, len, &Device::Cpu)
}

struct Weights<'a>(&'a HashMap<String, Tensor>);

impl Weights<'_> {
    fn take(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let found = self
            .0
            .get(name)
            .or_else(|| self.0.get(&format!("bert.{name}")));
        let tensor = found.ok_or_else(|| Error::Msg(format!("tensor {name} is missing")))?;
        if tensor.dims() != shape {
            return Err(Error::Msg(format!(
                "tensor {name} is {:?}, expected {shape:?} after config.json",
                tensor.dims()
            )));
        }
        tensor.to_dtype(DType::F32)
    }

    /// Turns the stored `[out, in]` around.
    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
        let matrix = self.take(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Dense {
            matrix: matrix.t()?.contiguous()?,
            bias: self.take(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn norm(&self, name: &str, bias: &Tensor, eps: f64) -> Result<Norm> {
        let shape = bias.dims();
        let gain = self.take(&format!("{name}.weight"), shape)?;
        let shift = self.take(&format!("{name}.bias"), shape)?;
        Ok(Norm {
            rows: Tensor::stack(&[bias, &gain, &shift], 0)?,
            eps,
        })
    }
}
