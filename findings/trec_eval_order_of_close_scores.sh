#!/usr/bin/env bash
# pytrec_eval-terrier 0.5.11 (trec_eval's measures for Python): scores are compared as 32-bit floats, and equal ones are
# put in the order of the documents' ids, descending.
# One would guess: the document with the higher score, a Python float, is ranked first; a run that lists documents best
# first, with equal scores, is measured in its own order.
# Seen: scores .5 and .5 - 1e-9 count as equal. The relevant document "a", listed first with the higher score, has a
# reciprocal rank of .5, since "b" is the greater id; called "z" it has 1. So a ranking is best measured by its ranks.
# Exits 1 where that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet pytrec_eval-terrier==0.5.11 numpy
"$place/venv/bin/python" - <<'PYTHON'
import pytrec_eval


def reciprocal_rank(relevant, other, scores):
    evaluator = pytrec_eval.RelevanceEvaluator({"q": {relevant: 1}}, {"recip_rank"})
    return evaluator.evaluate({"q": dict(zip((relevant, other), scores))})["q"]["recip_rank"]


close, equal, apart = (0.5, 0.5 - 1e-9), (0.5, 0.5), (0.5, 0.4)
found = {
    "a above b, close": reciprocal_rank("a", "b", close),
    "z above b, close": reciprocal_rank("z", "b", close),
    "a above b, equal": reciprocal_rank("a", "b", equal),
    "a above b, apart": reciprocal_rank("a", "b", apart),
}
print(found)
assert list(found.values()) == [0.5, 1.0, 0.5, 1.0]
PYTHON
