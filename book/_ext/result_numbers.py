"""Numbers from result files in prose: ``{{ '%.2f' % full.relu_baseline.ann_accuracy }}``.

``full`` holds the published results, ``run`` those of the profile this build ran (environment
variable PROFILE). ``NN_name.json`` is reached as ``name``: its headline numbers, and from its
provenance its parameters (profile, network, dataset, ...), commit and minutes. A missing number is
an error of the build. NaN becomes None: it equals itself, so Sphinx sees that nothing changed and
leaves the pages as they are.
"""

import json
import os
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "results"


def setup(app):
    app.connect("config-inited", _add_numbers, priority=100)
    return {"parallel_read_safe": True, "version": "1"}


def _add_numbers(app, config):
    config.myst_substitutions = {
        **config.myst_substitutions,
        "full": _numbers(RESULTS / "full"),
        "run": _numbers(RESULTS / os.environ.get("PROFILE", "quick")),
    }


def _numbers(folder):
    numbers = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        headline, source = document["headline"], document["provenance"]
        numbers[path.stem[3:]] = {
            **source["parameters"],
            **{key: None if value != value else value for key, value in headline.items()},
            "images_text": f"{headline['images']:,}",
            "commit": source["commit"],
            "minutes": source["minutes"],
        }
    return numbers
