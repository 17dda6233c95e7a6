"""Documents that are records of one line: an inventory and a log, which are asked for by exact terms most of all."""

from __future__ import annotations

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import Pattern, make_from_patterns

_INVENTORY_SLOTS = {
    "bolt": ["hex bolt", "carriage bolt", "set screw|headless screw", "wing nut"],
    "size": ["M4x20", "M6x30", "M8x40", "M10x60", "M12x80"],
    "finish": ["zinc", "A2 stainless|rustproof", "black oxide"],
    "bearing": ["6202-2RS", "6204-ZZ", "51105", "NU206", "30204"],
    "maker": ["Brandt", "Osaka Seiko", "Volgarol", "Tilden"],
    "cable": ["NYM-J", "H07V-K", "LiYCY", "RG58"],
    "section": ["1.5 mm2", "2.5 mm2", "4 mm2", "0.75 mm2"],
    "colour": ["grey", "blue", "yellow-green|earth wire colours", "black"],
    "shelf": ["A-03", "B-11", "C-27", "D-40", "F-08"],
    "resistor": ["220R", "4k7", "10k", "1M"],
    "case": ["0603", "0805", "1206"],
    "oil": ["HLP 46", "CLP 220", "ATF III"],
    "litres": ["1 l", "5 l", "20 l|large canister"],
}
_INVENTORY = (
    Pattern(
        "{bolt} {size} {finish}, shelf {shelf}",
        ["{size} {finish_alt}", "{bolt_alt} {size}", "{shelf} {bolt}", "{size} {shelf}"],
    ),
    Pattern(
        "ball bearing {bearing} {maker}, shelf {shelf}",
        ["{bearing}", "{maker} {bearing}", "{bearing} {shelf}", "where is the {bearing} of {maker}"],
    ),
    Pattern(
        "{cable} {section} {colour} 100 m, shelf {shelf}",
        ["{cable} {section}", "{section} wire {colour_alt}", "{cable} {colour} {shelf}"],
    ),
    Pattern(
        "resistor {resistor} {case} 1 % {maker}, shelf {shelf}",
        ["{resistor} {case}", "{maker} {resistor}", "{case} {resistor} {shelf}"],
    ),
    Pattern("oil {oil} {litres} {maker}, shelf {shelf}", ["{oil} {litres_alt}", "lubricant {oil}", "{oil} {maker}"]),
)
_LOG_SLOTS = {
    "host": ["node-07", "node-12", "gw-berlin", "gw-osaka", "cache-3"],
    "id": ["7f3a91c2", "b0d44e17", "19ce55fa", "e8812d06", "c4f7730b", "5ad90e38"],
    "user": ["mkeller", "svc_backup", "root", "p.okafor"],
    "ip": ["10.4.17.221", "192.168.88.3", "172.16.5.40", "10.9.0.66"],
    "ms": ["1204", "30007", "88", "5961"],
    "path": ["/api/v2/orders", "/login", "/static/app.js", "/export.csv"],
    "status": ["404|not found", "500|server error", "503|unavailable", "429|too many requests"],
    "disk": ["/dev/sda1", "/dev/nvme0n1", "tmpfs"],
    "percent": ["91%", "97%", "100%"],
}
_LOG = (
    Pattern(
        "ERROR {host} request {id} {path} status={status} took {ms} ms",
        ["{id}", "request {id}", "{host} {path} {status_alt}", "{path} {ms} ms", "status={status} {host}"],
    ),
    Pattern(
        "WARN {host} sshd: failed password for {user} from {ip}",
        ["failed login {user} {ip}", "{ip} {host}", "someone guesses the password of {user} on {host}"],
    ),
    Pattern(
        "WARN {host} disk {disk} {percent} full",
        ["{disk} {percent}", "{host} runs out of space", "{host} {disk} full"],
    ),
    Pattern("INFO {host} session {id} opened by {user}", ["session {id}", "{user} {host} session", "{id} {user}"]),
    Pattern("INFO {host} job {id} done in {ms} ms", ["job {id} finished", "{id} {ms}", "how long did job {id} take"]),
)


def inventory() -> Collection:
    """Parts in stock; asked for by sizes, part numbers and shelves."""
    return make_from_patterns("inventory", _INVENTORY, _INVENTORY_SLOTS, 400, 300, seed=26)


def log_lines() -> Collection:
    """Lines of a server's log; asked for by ids, hosts, addresses and what went wrong."""
    return make_from_patterns("log-lines", _LOG, _LOG_SLOTS, 500, 300, seed=27)
