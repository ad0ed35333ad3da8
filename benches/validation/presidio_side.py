#!/usr/bin/env python3
"""Microsoft Presidio on the labelled texts: F1 for each kind and texts a second, one JSON line.

It runs Presidio's pattern recognizers of the same kinds, in English, over a blank spaCy pipeline: none of these kinds
comes from a model, and a model would only make it slower.
"""
import json
import sys
import time
from importlib.metadata import version

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer import predefined_recognizers as known
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

KINDS = {
    "US_SSN": "ssn", "US_ITIN": "itin", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "ABA_ROUTING_NUMBER": "routing",
    "UK_NINO": "nino", "UK_NHS": "nhs", "DE_TAX_ID": "steuer_id", "ES_NIF": "dni", "ES_NIE": "dni",
    "IT_FISCAL_CODE": "codice_fiscale", "PL_PESEL": "pesel", "US_PASSPORT": "passport", "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone", "IP_ADDRESS": "ip",
}
RECOGNIZERS = [
    "UsSsnRecognizer", "UsItinRecognizer", "CreditCardRecognizer", "IbanRecognizer", "AbaRoutingRecognizer",
    "NhsRecognizer", "UkNinoRecognizer", "DeTaxIdRecognizer", "EsNifRecognizer", "EsNieRecognizer",
    "ItFiscalCodeRecognizer", "PlPeselRecognizer", "UsPassportRecognizer", "EmailRecognizer", "PhoneRecognizer",
    "IpRecognizer",
]
# The list of domains that its package holds, instead of one to be fetched.
tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())
# Presidio's own default for what callers should take; below it are guesses without context.
THRESHOLD = 0.4


class Blank(NlpEngine):
    """Tokens, and no more."""

    def __init__(self):
        self.nlp = spacy.blank("en")

    def load(self):
        pass

    def is_loaded(self):
        return True

    def process_text(self, text, language):
        doc = self.nlp(text)
        return NlpArtifacts(entities=[], tokens=doc, tokens_indices=[token.idx for token in doc],
                            lemmas=[token.lower_ for token in doc], nlp_engine=self, language=language)

    def process_batch(self, texts, language, **kwargs):
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word, language):
        return self.nlp.vocab[word].is_stop

    def is_punct(self, word, language):
        return self.nlp.vocab[word].is_punct

    def get_supported_entities(self):
        return []

    def get_supported_languages(self):
        return ["en"]


registry = RecognizerRegistry(recognizers=[getattr(known, name)(supported_language="en") for name in RECOGNIZERS])
engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
with open(sys.argv[1], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]


def find(text):
    """The best at each place, as callers keep it."""
    results = engine.analyze(text, language="en", score_threshold=THRESHOLD)
    kept = []
    for result in sorted(results, key=lambda result: (-result.score, result.start - result.end)):
        if all(result.end <= other.start or other.end <= result.start for other in kept):
            kept.append(result)
    return {(KINDS.get(result.entity_type, result.entity_type), text[result.start:result.end]) for result in kept}


find(rows[0]["text"])
start = time.perf_counter()
found = [find(row["text"]) for row in rows]
seconds = time.perf_counter() - start
counts = {}
for row, ours in zip(rows, found):
    labelled = {(one["kind"], one["value"]) for one in row["found"]}
    for kind, value in ours | labelled:
        right, wrong, missed = counts.setdefault(kind, [0, 0, 0])
        hit = [(kind, value) in ours and (kind, value) in labelled, (kind, value) not in labelled, (kind, value) not in ours]
        counts[kind] = [right + hit[0], wrong + hit[1], missed + hit[2]]
scores = {kind: 2 * right / (2 * right + wrong + missed) for kind, (right, wrong, missed) in counts.items()}
print(json.dumps({"f1": scores, "texts_per_second": len(rows) / seconds,
                  "version": f"presidio-analyzer {version('presidio-analyzer')}, blank spaCy {spacy.__version__}"}))
