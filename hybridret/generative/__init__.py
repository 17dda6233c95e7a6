"""The generative retriever: a model that decodes docids."""

from hybridret.generative.backbone import Backbone
from hybridret.generative.backbone_docids import BackboneDocids, LazyBackbone
from hybridret.generative.backbone_retriever import BackboneRetriever
from hybridret.generative.causal import CausalBackbone
from hybridret.generative.code_decoder import CodeDecoder
from hybridret.generative.code_tokens import add_code_tokens
from hybridret.generative.indexed import IndexedDocids, sorted_trie
from hybridret.generative.language_model import LanguageModelBackbone
from hybridret.generative.pretrained import backbone_kind, load_backbone
from hybridret.generative.retriever import DocidRetriever, refine_codes
from hybridret.generative.seq2seq import Seq2SeqBackbone

__all__ = [
    "Backbone",
    "BackboneDocids",
    "BackboneRetriever",
    "CausalBackbone",
    "CodeDecoder",
    "DocidRetriever",
    "IndexedDocids",
    "LanguageModelBackbone",
    "LazyBackbone",
    "Seq2SeqBackbone",
    "add_code_tokens",
    "backbone_kind",
    "load_backbone",
    "refine_codes",
    "sorted_trie",
]
