"""A language model of one layer with random weights: nonsense of the right form, from a real server."""

import pathlib

import gguf
import numpy

WIDTH, HEADS, INNER, CONTEXT = 64, 2, 128, 256
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"


def make(path: pathlib.Path) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)

    kind = gguf.TokenType
    special = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    of_bytes = [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]
    letters = [(letter, kind.NORMAL) for letter in "\u2581abcdefghijklmnopqrstuvwxyz"]
    tokens = special + of_bytes + letters
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_scores([-float(at) for at in range(len(tokens))])
    writer.add_token_types([int(kind) for _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)

    random = numpy.random.default_rng(7)

    def weights(name: str, *shape: int) -> None:
        values = random.normal(0.0, 0.5, shape) if len(shape) > 1 else numpy.ones(shape)
        if name == "output":
            # Letters only, and no end: the server leaves bytes that are no whole character out of its streams.
            values[: len(tokens) - len(letters)] = 0
        writer.add_tensor(f"{name}.weight", values.astype(numpy.float32))

    weights("token_embd", len(tokens), WIDTH)
    weights("output_norm", WIDTH)
    weights("output", len(tokens), WIDTH)
    for norm in ("attn_norm", "ffn_norm"):
        weights(f"blk.0.{norm}", WIDTH)
    for square in ("attn_q", "attn_k", "attn_v", "attn_output"):
        weights(f"blk.0.{square}", WIDTH, WIDTH)
    weights("blk.0.ffn_gate", INNER, WIDTH)
    weights("blk.0.ffn_up", INNER, WIDTH)
    weights("blk.0.ffn_down", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    import sys

    make(pathlib.Path(sys.argv[1]))
