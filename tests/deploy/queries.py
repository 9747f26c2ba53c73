"""Parses every query (`expr`, at any depth) of the YAML and JSON files that are named. A variable of Grafana stands for a span."""

import re
import sys
from pathlib import Path

import promql_parser
import yaml


def queries(value):
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for name, below in value.items():
            if name == 'expr':
                yield below
            else:
                yield from queries(below)


for file in sys.argv[1:]:
    found = list(queries(yaml.safe_load(Path(file).read_text())))
    if not found:
        sys.exit(f'{file}: no queries')
    for query in found:
        try:
            promql_parser.parse(re.sub(r'\[\$\w+\]', '[5m]', query))
        except ValueError as error:
            sys.exit(f'{file}: {query}\n{error}')
    print(f'ok  {file}: {len(found)} queries')
