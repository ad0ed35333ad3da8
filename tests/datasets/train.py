"""Exports conversations, pairs, labels and triplets of a server, and trains tiny random models on each for one step."""

import math
import os
import pathlib
import sys
import tempfile
import unittest

import run

TEMPLATE = "{% for message in messages %}<{{ message.role }}> {{ message.content }} </s> {% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"


def tokenizer(texts: list[str]):
    """Words of the texts, with what a chat is made of: nothing is fetched."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = ["<unk>", "<pad>", "</s>", "<system>", "<user>", "<assistant>"]
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special))
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", chat_template=TEMPLATE)


def model(words, folder: str) -> str:
    """Saves a random model and its tokenizer: the trainers of pairs load a second one to compare with."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=words.pad_token_id, eos_token_id=words.eos_token_id, bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        from datasets import load_dataset

        cls.folder = tempfile.TemporaryDirectory()
        server = run.Server(sys.argv[1], cls.folder.name)
        try:
            run.fill(server, tools=False)
            cls.read = {}
            for kind in ["sft", "preference", "kto", "triplets"]:
                path = str(pathlib.Path(server.ask("/v1/exports", {"kind": kind, "test_fraction": 0.4})["path"]).resolve())
                cls.read[kind] = load_dataset(path, cache_dir=str(pathlib.Path(cls.folder.name, "cache", kind)))
        finally:
            server.stop()
        texts = [message["content"] for row in cls.read["sft"]["train"] for message in row["messages"]]
        cls.words = tokenizer(texts)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def step(self, trainer_class, config_class, kind: str, **more) -> None:
        config = config_class(
            output_dir=str(pathlib.Path(self.folder.name, "out", kind)), max_steps=1, per_device_train_batch_size=4,
            use_cpu=True, report_to=[], save_strategy="no", bf16=False, logging_steps=1, **more,
        )
        trainer = trainer_class(
            model=model(self.words, str(pathlib.Path(self.folder.name, "model"))), args=config, train_dataset=self.read[kind]["train"],
            eval_dataset=self.read[kind]["test"], processing_class=self.words,
        )
        trained = trainer.train()
        self.assertEqual(trained.global_step, 1)
        self.assertTrue(math.isfinite(trained.training_loss) and trained.training_loss > 0, trained)
        print(f"{kind}: loss {trained.training_loss:.3f} after one step of {len(self.read[kind]['train'])} rows")

    def test_conversations(self) -> None:
        from trl import SFTConfig, SFTTrainer

        self.step(SFTTrainer, SFTConfig, "sft", max_length=128)

    def test_pairs(self) -> None:
        from trl import DPOConfig, DPOTrainer

        self.step(DPOTrainer, DPOConfig, "preference", max_length=128)

    def test_labels(self) -> None:
        from trl import KTOConfig, KTOTrainer

        self.step(KTOTrainer, KTOConfig, "kto", max_length=128)

    def test_triplets(self) -> None:
        from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
        from sentence_transformers.evaluation import TripletEvaluator
        from sentence_transformers.losses import MultipleNegativesRankingLoss
        from sentence_transformers.models import StaticEmbedding

        embedder = SentenceTransformer(modules=[StaticEmbedding(self.words.backend_tokenizer, embedding_dim=16)], device="cpu")
        arguments = SentenceTransformerTrainingArguments(
            output_dir=str(pathlib.Path(self.folder.name, "out", "triplets")), max_steps=1, per_device_train_batch_size=4,
            use_cpu=True, report_to=[], save_strategy="no",
        )
        # The columns are taken by their order, whatever they are called.
        trainer = SentenceTransformerTrainer(
            model=embedder, args=arguments, train_dataset=self.read["triplets"]["train"], loss=MultipleNegativesRankingLoss(embedder),
        )
        trained = trainer.train()
        self.assertTrue(math.isfinite(trained.training_loss) and trained.training_loss > 0, trained)
        held = self.read["triplets"]["test"]
        evaluator = TripletEvaluator(held["anchor"], held["positive"], held["negative"])
        print(f"triplets: loss {trained.training_loss:.3f}, {evaluator(embedder)}")


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    unittest.main(argv=[sys.argv[0], "-v"])
