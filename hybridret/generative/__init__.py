"""The generative retriever: a model that decodes docids."""

from hybridret.generative.backbone import Backbone
from hybridret.generative.backbone_retriever import BackboneRetriever
from hybridret.generative.causal import CausalBackbone
from hybridret.generative.code_decoder import CodeDecoder
from hybridret.generative.code_tokens import add_code_tokens
from hybridret.generative.retriever import DocidRetriever
from hybridret.generative.seq2seq import Seq2SeqBackbone

__all__ = [
    "Backbone",
    "BackboneRetriever",
    "CausalBackbone",
    "CodeDecoder",
    "DocidRetriever",
    "Seq2SeqBackbone",
    "add_code_tokens",
]
