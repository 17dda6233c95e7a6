"""Whether an encoder is the one of an index: what it makes of a stored document tells."""

from __future__ import annotations

from hybridret.changes import Changes
from hybridret.errors import InferenceError, InputError, ModelError
from hybridret.types import Encoder

_DRIFT = 0.01
"""One less the cosine: the same weights in another precision or batch stay below, the same model trained does not."""

_LOOKED_FOR = 16
"""Documents that are looked for: another process may have deleted the first ones a moment ago."""


def load_bundled_encoder(changes: Changes) -> Encoder:
    """Loads the encoder that a bundle holds; that it can encode is seen at once, not taken for an outage later.

    Raises:
        ModelError: The bundle holds none, or its files are not those that were saved, or no encoder of its vectors.
    """
    encoder = changes.bundled_encoder()
    try:
        return checked_encoder(changes, encoder)
    except (InferenceError, InputError) as error:
        raise ModelError(str(error)) from error


def checked_encoder(changes: Changes, encoder: Encoder) -> Encoder:
    """The encoder, or an error where its vector of a stored document is not the stored one.

    The index's vectors, codebooks and docids belong to one encoder. Another one with as many dimensions would find
    something for every query, and nothing of it would mean anything.

    Args:
        changes: The index; one without documents that have a text takes any encoder.
        encoder: What shall encode its queries and new documents.

    Raises:
        InputError: It is another one.
        InferenceError: It cannot encode.
    """
    store, generation = changes.store, changes.generation
    stored = store.by_key(generation.keys[generation.searchable][:_LOOKED_FOR].tolist())
    if not stored:
        return encoder
    key, document = min(stored.items())
    expected = generation.dense.vectors[generation.rows_of([key])[0]]
    try:
        (found,) = encoder.encode_documents([document.text])
    except Exception as error:
        raise InferenceError(f"{encoder.name} cannot encode: {error}") from error
    if found.shape != expected.shape:
        problem = f"it gives {len(found)} dimensions and the index has {len(expected)}"
    elif 0.5 * float(((found - expected) ** 2).sum()) > _DRIFT:
        cosine = float(found @ expected)
        problem = f"its vector of document {document.doc_id!r} has a cosine of {cosine:.3f} with the stored one"
    else:
        return encoder
    if changes.store is not store:
        return encoder  # the bundle was replaced meanwhile, and what was compared may be of two
    raise InputError(
        f"{encoder.name} is not the encoder that the index was made with ({changes.model}): {problem}; "
        "open the index with that one, or index the documents anew"
    )
