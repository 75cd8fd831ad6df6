"""Write the report card of a model: report/report.json for recipes, report/index.html for people.

    python -m scripts.report                    # the newest model
    python -m scripts.report --model-tag d4

The page is one file without requests or scripts; open it in a browser or send it to someone.
"""

import argparse
from datetime import datetime, timezone

from nanochat.charts import format_duration
from nanochat.common import base_dir, command, print0
from nanochat.files import atomic_write, write_json
from nanochat.report import gather
from nanochat.report_page import render
from nanochat.run import new_record, process_seconds


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-tag", help="name of the model (default: the newest)")
    return parser


@command
def main(args):
    card = gather(args.model_tag, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    folder = base_dir() / "report"
    atomic_write(folder / "index.html", render(card))
    write_json(folder / "report.json", card.report)  # last: recipes take its presence for the whole report
    tag, total_sec, missing = (card.report[key] for key in ("tag", "total_sec", "missing"))
    for line in missing:
        print0(line)
    print0(f"{tag}: {format_duration(total_sec)} over {', '.join(card.report['stages'])}\nopen {folder / 'index.html'}")
    return new_record("report", None, tag, status="finished", total_sec=process_seconds(),
                      report=str(folder / "report.json"), page=str(folder / "index.html"))


if __name__ == "__main__":
    main(build_parser().parse_args())
