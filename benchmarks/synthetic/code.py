"""Documents of one line of code each."""

from __future__ import annotations

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import Pattern, make_from_patterns

_SLOTS = {
    "rows": ["rows", "invoices", "measurements", "users", "tweets"],
    "key": ["price", "created_at", "last_name|surname", "priority"],
    "path": ["settings.json", "orders.csv", "model.bin", "access.log"],
    "url": ["API_URL", "WEBHOOK_URL", "feed_url"],
    "table": ["orders", "customers", "audit_log", "sessions"],
    "seconds": ["5", "30", "120"],
    "name": ["parse_header", "flushCache", "load_user_by_id", "computeChecksum", "retry_with_backoff"],
    "value": ["total", "elapsed", "n_errors", "payload"],
    "n": ["3", "10", "64"],
}
_LINES = (
    Pattern(
        "{rows}.sort(key=lambda each: each.{key}, reverse=True)",
        ["sort {rows} by {key_alt} descending", "order {rows}, highest {key_alt} first", "{rows}.sort {key}"],
    ),
    Pattern(
        "by_{key} = {{each.{key}: each for each in {rows}}}",
        ["dictionary of {rows} by {key_alt}", "index {rows} by {key}", "by_{key} {rows}"],
    ),
    Pattern(
        "{value} = sum(each.{key} for each in {rows}) / len({rows})",
        ["average {key_alt} of {rows}", "mean of {key_alt} over {rows}", "{value} sum {rows}"],
    ),
    Pattern(
        'with open("{path}", encoding="utf-8") as file: {value} = file.read()',
        ["read the whole text file {path}", "open {path}", "load contents of {path} into {value}"],
    ),
    Pattern(
        'Path("{path}").unlink(missing_ok=True)',
        ["delete {path} if it exists", "remove file {path}", "unlink {path}"],
    ),
    Pattern(
        "response = requests.get({url}, timeout={seconds})",
        ["http request with a timeout of {seconds} seconds", "download {url}", "requests.get {url}"],
    ),
    Pattern(
        "requests.post({url}, json={{'{value}': {value}}})",
        ["send {value} as json to {url}", "http post {url}", "submit {value} to a web service"],
    ),
    Pattern(
        "SELECT {key}, COUNT(*) FROM {table} GROUP BY {key} HAVING COUNT(*) > {n}",
        [
            "{key_alt} that occurs more than {n} times in {table}",
            "duplicates in {table} by {key}",
            "GROUP BY {key} {table}",
        ],
    ),
    Pattern(
        "DELETE FROM {table} WHERE {key} IS NULL",
        ["drop {table} without {key_alt}", "remove rows with empty {key} from {table}"],
    ),
    Pattern(
        "UPDATE {table} SET {key} = {n} WHERE id = ?",
        ["change the {key_alt} of one of the {table} to {n}", "set {key} in {table}", "UPDATE {table} {key}"],
    ),
    Pattern(
        "CREATE INDEX idx_{table}_{key} ON {table} ({key})",
        ["make lookups of {table} by {key_alt} faster", "idx_{table}_{key}", "database index {table} {key}"],
    ),
    Pattern(
        "for attempt in range({n}): {name}(); time.sleep({seconds})",
        ["try {name} {n} times with a pause", "wait {seconds} seconds between attempts", "loop {name} sleep"],
    ),
    Pattern(
        "def {name}({rows}, limit={n}): return {rows}[:limit]",
        ["first {n} of the {rows}", "definition of {name}", "function that truncates {rows}"],
    ),
    Pattern(
        "const {value} = await fetch({url}).then(r => r.json());",
        ["javascript load json from {url}", "await fetch {url} {value}", "asynchronous request {url} in js"],
    ),
    Pattern(
        "{rows}.filter(x => x.{key} !== undefined).map(x => x.{key})",
        ["javascript collect every defined {key_alt} of {rows}", "{rows}.filter {key}"],
    ),
    Pattern(
        'if ({value} == NULL) {{ fprintf(stderr, "no {value}\\n"); exit({n}); }}',
        ["c error handling when {value} is missing", "stop program with exit code {n} when {value} null"],
    ),
    Pattern(
        "memset({value}, 0, {n} * sizeof(*{value}));",
        ["zero the {value} buffer in C", "clear {n} elements of {value}", "memset {value}"],
    ),
    Pattern(
        'logger.warning("{name} took %s s", {value})',
        ["log that {name} was slow", "warning about duration of {name}", "{name} took"],
    ),
    Pattern(
        "assert {name}({value}) == {n}, {value}",
        ["test of {name}", "check that {name} gives {n}", "assert {name} {value}"],
    ),
    Pattern(
        "random.seed({n}); sample = random.sample({rows}, {n})",
        ["draw {n} random {rows} reproducibly", "random subset of {rows}", "random.sample {rows}"],
    ),
    Pattern(
        "executor.submit({name}, {value}).result(timeout={seconds})",
        ["run {name} in a thread and wait at most {seconds} seconds", "executor.submit {name}"],
    ),
    Pattern(
        'os.environ.get("{url}", "http://localhost:80{n}")',
        ["read {url} from the environment with a default", "environment variable {url}", "localhost:80{n}"],
    ),
)


def code_lines() -> Collection:
    """Lines of Python, SQL, JavaScript and C; asked for by what they do, or by their names."""
    return make_from_patterns("code-lines", _LINES, _SLOTS, 400, 300, seed=24)
