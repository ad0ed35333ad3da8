use std::collections::HashMap;

use candle_core::{DType, Tensor};
use serde_json::{Value, json};

use super::*;
use crate::types::error_kind::ErrorKind;

const HIDDEN: usize = 48;
const HEADS: usize = 3;
const WIDE: usize = 80;
const LAYERS: usize = 2;
const POSITIONS: usize = 90;

/// Enough to split words into pieces and to hold every marker.
const PIECES: [&str; 20] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "boat", "a", "on", "the", "river", "##s",
    "##ing", "sail", "!", ",", "b", "##c", "[", "]", "sep",
];

/// Numbers in [-1, 1) that are the same every time: a linear congruence by Knuth.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute",
        "vocab_size": PIECES.len(), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": WIDE, "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
    })
}

fn tokenizer() -> Value {
    let vocab: serde_json::Map<String, Value> = PIECES
        .iter()
        .enumerate()
        .map(|(id, piece)| ((*piece).to_owned(), json!(id)))
        .collect();
    let added: Vec<Value> = (0..5)
        .map(|id| {
            json!({"id": id, "content": PIECES[id], "special": true, "single_word": false,
                   "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let marker = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let special = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 128}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [marker("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, marker("[SEP]")],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    })
}

/// Name and shape of every tensor.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    for (name, rows) in [
        ("word", PIECES.len()),
        ("position", POSITIONS),
        ("token_type", 2),
    ] {
        add(
            format!("embeddings.{name}_embeddings.weight"),
            &[rows, HIDDEN],
        );
    }
    let norm = |add: &mut dyn FnMut(String, &[usize]), name: String| {
        add(format!("{name}.weight"), &[HIDDEN]);
        add(format!("{name}.bias"), &[HIDDEN]);
    };
    norm(&mut add, "embeddings.LayerNorm".to_owned());
    for layer in 0..LAYERS {
        let part = format!("encoder.layer.{layer}");
        for (name, inputs, outputs) in [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", HIDDEN, WIDE),
            ("output.dense", WIDE, HIDDEN),
        ] {
            add(format!("{part}.{name}.weight"), &[outputs, inputs]);
            add(format!("{part}.{name}.bias"), &[outputs]);
        }
        norm(&mut add, format!("{part}.attention.output.LayerNorm"));
        norm(&mut add, format!("{part}.output.LayerNorm"));
    }
    shapes
}

fn weights() -> HashMap<String, Tensor> {
    let mut numbers = Numbers(7);
    shapes()
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| numbers.next() * 0.5).collect();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect()
}

/// Writes a whole folder, which a test may then damage.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("config.json"), config().to_string()).unwrap();
    std::fs::write(path.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    safetensors::save(&weights(), path.join("model.safetensors")).unwrap();
    folder
}

pub(in crate::engines::embedding::embedders) fn model() -> Minilm {
    Minilm::open("tiny", folder().path()).unwrap()
}

/// The same arithmetic in double precision, one token and one sum at a time.
struct Naive(HashMap<String, Vec<f64>>);

impl Naive {
    fn new() -> Self {
        let plain = |tensor: &Tensor| {
            let tensor = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
            tensor.to_vec1().unwrap()
        };
        Self(
            weights()
                .iter()
                .map(|(name, tensor)| (name.clone(), plain(tensor)))
                .collect(),
        )
    }

    fn dense(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (matrix, bias) = (
            &self.0[&format!("{name}.weight")],
            &self.0[&format!("{name}.bias")],
        );
        let rows = matrix.chunks(x.len()).zip(bias);
        rows.map(|(row, bias)| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>() + bias)
            .collect()
    }

    fn norm(&self, name: &str, x: &[f64], y: &[f64]) -> Vec<f64> {
        let sum: Vec<f64> = x.iter().zip(y).map(|(a, b)| a + b).collect();
        let mean = sum.iter().sum::<f64>() / HIDDEN as f64;
        let variance = sum.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / HIDDEN as f64;
        let (gain, shift) = (
            &self.0[&format!("{name}.weight")],
            &self.0[&format!("{name}.bias")],
        );
        (0..HIDDEN)
            .map(|at| (sum[at] - mean) / (variance + 1e-12).sqrt() * gain[at] + shift[at])
            .collect()
    }

    fn hidden_states(&self, ids: &[u32]) -> Vec<Vec<f64>> {
        let row = |name: &str, at: usize| {
            &self.0[&format!("embeddings.{name}_embeddings.weight")][at * HIDDEN..][..HIDDEN]
        };
        let mut states: Vec<Vec<f64>> = (0..ids.len())
            .map(|at| {
                let place = row("position", at).iter().zip(row("token_type", 0));
                let place: Vec<f64> = place.map(|(a, b)| a + b).collect();
                self.norm(
                    "embeddings.LayerNorm",
                    row("word", ids[at] as usize),
                    &place,
                )
            })
            .collect();
        for layer in 0..LAYERS {
            let part = |name: &str| format!("encoder.layer.{layer}.{name}");
            let all = |name: &str| -> Vec<Vec<f64>> {
                let name = part(&format!("attention.self.{name}"));
                states.iter().map(|x| self.dense(&name, x)).collect()
            };
            let (queries, keys, values) = (all("query"), all("key"), all("value"));
            let head = HIDDEN / HEADS;
            let mixed = |token: usize| {
                let mut mixed = vec![0.0; HIDDEN];
                for from in (0..HIDDEN).step_by(head) {
                    let span = from..from + head;
                    let score = |key: &Vec<f64>| {
                        let pairs = queries[token][span.clone()].iter().zip(&key[span.clone()]);
                        (pairs.map(|(a, b)| a * b).sum::<f64>() / (head as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = keys.iter().map(score).collect();
                    let total: f64 = scores.iter().sum();
                    for (score, value) in scores.iter().zip(&values) {
                        for at in span.clone() {
                            mixed[at] += score / total * value[at];
                        }
                    }
                }
                mixed
            };
            states = (0..states.len())
                .map(|token| {
                    let out = self.dense(&part("attention.output.dense"), &mixed(token));
                    let name = part("attention.output.LayerNorm");
                    let state = self.norm(&name, &out, &states[token]);
                    let wide = self.dense(&part("intermediate.dense"), &state);
                    let wide: Vec<f64> = wide.into_iter().map(gelu).collect();
                    let out = self.dense(&part("output.dense"), &wide);
                    self.norm(&part("output.LayerNorm"), &out, &state)
                })
                .collect();
        }
        states
    }
}

/// `x * Φ(x)` with the error function's series, which is exact for the small numbers here.
fn gelu(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    let (mut term, mut erf) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        erf += term / f64::from(2 * n + 1);
    }
    x * 0.5 * (1.0 + erf * std::f64::consts::FRAC_2_SQRT_PI)
}

fn near(got: &[f32], expected: &[f32], off: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() < off,
            "{what}: {got} for {expected} at {at}"
        );
    }
}

#[test]
fn every_token_comes_out_as_by_plain_arithmetic() {
    // Lengths around the lanes of the kernels, several in one call.
    let texts: Vec<Vec<u32>> = [3, 1, 16, 17, 64, 65, 90]
        .map(|len: u32| (0..len).map(|at| (at * 7 + len) % 20).collect())
        .to_vec();
    let slices: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let got = model().hidden_states(&slices).unwrap();
    let naive = Naive::new();
    let expected: Vec<f32> = texts
        .iter()
        .flat_map(|ids| naive.hidden_states(ids).concat())
        .map(|x| x as f32)
        .collect();
    near(&got, &expected, 2e-4, "states");
}

#[test]
fn a_text_becomes_the_unit_mean_of_its_tokens() {
    let embedded = model().embed(&["Sailing boats, on the river!"]).unwrap();
    let ids = [2, 12, 11, 5, 10, 14, 7, 8, 9, 13, 3];
    assert_eq!(embedded.tokens, [9]);
    let states = Naive::new().hidden_states(&ids);
    let mut mean: Vec<f32> = (0..HIDDEN)
        .map(|at| states.iter().map(|state| state[at]).sum::<f64>() as f32)
        .collect();
    assert!(normalize(&mut mean));
    near(&embedded.vectors[0], &mean, 1e-5, "vector");
}

#[test]
fn a_vector_does_not_depend_on_the_texts_beside_it_and_order_is_kept() {
    let model = model();
    let texts: Vec<String> = (0..40_usize)
        .map(|at| "boats a river sailing on, the! ".repeat(1 + at * 7 % 12) + PIECES[5 + at % 5])
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = model.embed(&texts).unwrap();
    assert!(groups_of(&model, &texts) > 2, "one group proves nothing");
    for (at, text) in texts.iter().enumerate() {
        let alone = model.embed(&[text]).unwrap();
        near(&together.vectors[at], &alone.vectors[0], 1e-5, text);
        assert_eq!(together.tokens[at], alone.tokens[0]);
    }
}

fn groups_of(model: &Minilm, texts: &[&str]) -> usize {
    let read = |text: &&str| (0, model.tokens.read(text, 88).unwrap().unwrap().0);
    groups(&texts.iter().map(read).collect::<Vec<_>>()).len()
}

#[test]
fn groups_hold_every_text_once_and_no_more_tokens_than_allowed() {
    let texts = |lens: &[usize]| -> Vec<(usize, Vec<u32>)> {
        lens.iter().map(|&len| (0, vec![0; len])).collect()
    };
    assert!(groups(&texts(&[])).is_empty());
    let cases: [(&[usize], &[Range<usize>]); 3] = [
        (&[600, 500, 12, 1], &[0..1, 1..3, 3..4]),
        (&[512, 1], &[0..1, 1..2]),
        (&[200; 4], &[0..2, 2..4]),
    ];
    for (lens, expected) in cases {
        assert_eq!(groups(&texts(lens)), expected, "{lens:?}");
    }
}

#[test]
fn a_long_text_is_cut_and_told_and_an_empty_one_refused() {
    let model = model();
    assert_eq!(model.info().max_tokens, POSITIONS - 2);
    let long = "boat ".repeat(POSITIONS - 1);
    let embedded = model.embed(&["a", &long, &long]).unwrap();
    assert_eq!((embedded.cut, embedded.tokens), (Some(1), vec![1, 88, 88]));
    let just = model.embed(&[&"boat ".repeat(POSITIONS - 2)]).unwrap();
    assert_eq!(just.cut, None);
    near(&just.vectors[0], &embedded.vectors[1], 1e-5, "cut");
    assert!(model.embed(&[]).unwrap().vectors.is_empty());
    for empty in ["", " \n", "\u{7}", "zebra", "漢 zebra"] {
        let error = model.embed(&["a", empty]).unwrap_err();
        assert_eq!(error, EmbedError::EmptyText { index: 1 }, "{empty:?}");
    }
}

#[test]
fn ids_are_those_of_the_file_read_by_the_crate_without_padding_and_truncation() {
    let json = tokenizer().to_string();
    let tokens = Tokens::parse(json.as_bytes(), PIECES.len()).unwrap();
    assert!(tokens.is_fast());
    let mut whole = tokenizers::Tokenizer::from_bytes(&json).unwrap();
    whole.with_padding(None).with_truncation(None).unwrap();
    for text in [
        "Boats!",
        "a [SEP] boat",
        "[sep] [MASK]boat",
        "sailing,the,river é boats [",
        "boat\u{7f}s",
    ] {
        let expected = whole.encode(text, true).unwrap();
        let (ids, cut) = tokens.read(text, 100).unwrap().unwrap();
        assert_eq!((ids.as_slice(), cut), (expected.get_ids(), false), "{text}");
        let (ids, cut) = tokens.read(text, 1).unwrap().unwrap();
        assert_eq!((ids.len(), cut), (3, expected.len() > 3), "{text}");
    }
    let mut cased = tokenizer();
    cased["normalizer"]["lowercase"] = json!(false);
    let cased = Tokens::parse(cased.to_string().as_bytes(), PIECES.len()).unwrap();
    assert!(!cased.is_fast());
    assert_eq!(cased.read("Boat boat", 9).unwrap().unwrap().0, [2, 1, 5, 3]);
}

#[test]
fn ids_become_a_text_that_embeds_alike() {
    let model = model();
    let text = model.decode(&[2, 12, 11, 5, 10, 3, 0]).unwrap();
    assert_eq!(text, "sailing boats");
    let error = model.decode(&[20]).unwrap_err();
    assert_eq!(error, EmbedError::UnknownToken { id: 20, last: 19 });
}

#[test]
fn the_fingerprint_is_that_of_the_files() {
    let opened = |damage: &dyn Fn(&Path)| {
        let folder = folder();
        damage(folder.path());
        let model = Minilm::open("tiny", folder.path()).unwrap();
        model.info().fingerprint.clone()
    };
    let plain = opened(&|_| {});
    assert_eq!((plain.len(), &plain), (16, &opened(&|_| {})));
    let other_weights = |path: &Path| {
        let mut weights = weights();
        let name = "encoder.layer.1.output.dense.bias";
        weights.insert(
            name.to_owned(),
            Tensor::zeros(HIDDEN, DType::F32, &Device::Cpu).unwrap(),
        );
        safetensors::save(&weights, path.join("model.safetensors")).unwrap();
    };
    let other_config = |path: &Path| {
        let mut config = config();
        config["layer_norm_eps"] = json!(1e-5);
        std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    };
    let shorter = |path: &Path| {
        let text = r#"{"max_seq_length": 30}"#;
        std::fs::write(path.join("sentence_bert_config.json"), text).unwrap();
    };
    for damage in [&other_weights as &dyn Fn(&Path), &other_config, &shorter] {
        assert_ne!(plain, opened(damage));
    }
}

#[test]
fn a_damaged_folder_says_what_is_wrong_and_what_to_do() {
    let write = |name: &'static str, text: String| {
        move |path: &Path| {
            let path = path.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &text).unwrap();
        }
    };
    let config_with = |key: &str, value: Value| {
        let mut config = config();
        config[key] = value;
        write("config.json", config.to_string())
    };
    let cut = |path: &Path| {
        let path = path.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    };
    let without = |name: &'static str| {
        move |path: &Path| {
            let mut weights = weights();
            weights.remove(name);
            safetensors::save(&weights, path.join("model.safetensors")).unwrap();
        }
    };
    let remove =
        |name: &'static str| move |path: &Path| std::fs::remove_file(path.join(name)).unwrap();
    type Damage = Box<dyn Fn(&Path)>;
    let cases: Vec<(Damage, &str)> = vec![
        (Box::new(remove("config.json")), "config.json"),
        (Box::new(remove("tokenizer.json")), "tokenizer.json"),
        (Box::new(remove("model.safetensors")), "model.safetensors"),
        (Box::new(cut), "model.safetensors: "),
        (
            Box::new(write("model.safetensors", String::new())),
            "model.safetensors: ",
        ),
        (
            Box::new(without("embeddings.word_embeddings.weight")),
            "tensor embeddings.word_embeddings.weight is missing",
        ),
        (
            Box::new(config_with("intermediate_size", json!(81))),
            "tensor encoder.layer.0.output.dense.weight is [48, 80], expected [48, 81]",
        ),
        (
            Box::new(config_with("num_attention_heads", json!(5))),
            "no multiple of",
        ),
        (
            Box::new(config_with("num_hidden_layers", json!(3))),
            "encoder.layer.2",
        ),
        (
            Box::new(config_with("hidden_size", json!(0))),
            "hidden_size must be 1 to",
        ),
        (
            Box::new(config_with("hidden_act", json!("relu"))),
            "hidden_act must be \"gelu\"",
        ),
        (
            Box::new(config_with("model_type", json!("mpnet"))),
            "model_type must be \"bert\"",
        ),
        (
            Box::new(config_with("vocab_size", json!(19))),
            "tokenizer.json: 20 tokens",
        ),
        (
            Box::new(write("config.json", "{".to_owned())),
            "config.json: EOF",
        ),
        (
            Box::new(write("tokenizer.json", "{}".to_owned())),
            "tokenizer.json: ",
        ),
        (
            Box::new(write(
                "sentence_bert_config.json",
                r#"{"max_seq_length": 2}"#.to_owned(),
            )),
            "reads no text",
        ),
        (
            Box::new(write(
                "1_Pooling/config.json",
                r#"{"pooling_mode_cls_token": true}"#.to_owned(),
            )),
            "only the mean",
        ),
    ];
    for (damage, expected) in cases {
        let folder = folder();
        damage(folder.path());
        let error = Minilm::open("tiny", folder.path()).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.contains("boathouse models pull"), "{text}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}

#[test]
fn ids_that_the_model_does_not_have_are_an_error_not_a_panic() {
    let model = model();
    let long = [5; POSITIONS + 1];
    for texts in [&[&[20_u32][..]][..], &[&long[..]]] {
        let error = model.hidden_states(texts).unwrap_err();
        assert!(matches!(error, EmbedError::Compute { .. }), "{error}");
    }
    assert!(model.word_embeddings(&[20]).is_err());
    let rows = model.word_embeddings(&[7]).unwrap();
    let words: Vec<f32> = weights()["embeddings.word_embeddings.weight"]
        .get(7)
        .unwrap()
        .to_vec1()
        .unwrap();
    assert_eq!(rows, words);
}

/// The real model, where `BOATHOUSE_MINILM` names its folder: the first numbers that onnxruntime
/// gives for the same weights.
#[test]
fn the_real_weights_give_the_vectors_of_onnxruntime() {
    let Some(folder) = std::env::var_os("BOATHOUSE_MINILM") else {
        println!("skipped: BOATHOUSE_MINILM does not name a folder of all-MiniLM-L6-v2");
        return;
    };
    let model = Minilm::open(NAME, Path::new(&folder)).unwrap();
    assert_eq!((model.info().dim, model.info().max_tokens), (384, 254));
    let golden: Value =
        serde_json::from_str(include_str!("../fixtures/minilm_golden.json")).unwrap();
    for case in golden.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let first: Vec<f32> = serde_json::from_value(case["first8"].clone()).unwrap();
        let embedded = model.embed(&[text]).unwrap();
        near(&embedded.vectors[0][..8], &first, 1e-5, text);
    }
}
