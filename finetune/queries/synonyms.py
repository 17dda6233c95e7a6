"""Everyday English words of nearly the same meaning."""

from __future__ import annotations

_GROUPS = """
big large huge | small little tiny | fast quick rapid | slow gradual | begin start commence | end finish conclude |
buy purchase | help assist aid support | show display present | make create build produce | use employ utilize apply |
get obtain acquire | find locate discover | need require want | give provide supply offer | keep retain maintain
preserve | change alter modify | increase raise grow | decrease reduce lower | fix repair mend | break damage | check
verify test | choose select pick | join combine merge | split divide separate | send transmit | receive accept |
delete remove erase | add append insert | search seek look | ask inquire | answer reply respond | say state tell |
think believe suppose | know understand | important significant essential | easy simple | hard difficult | new recent
modern | old ancient aged | good fine excellent | bad poor harmful | happy glad cheerful | sad unhappy sorrowful |
angry furious cross | afraid scared frightened | beautiful lovely pretty | ugly hideous | clever smart intelligent |
stupid foolish silly | rich wealthy | poor needy | brave courageous bold | strong powerful mighty | weak feeble |
quiet silent still | loud noisy | near close | far distant | often frequently | rarely seldom | always constantly |
almost nearly | about approximately around | enough sufficient | method approach technique procedure | result outcome
finding | cause reason | effect impact influence | problem issue difficulty | error mistake fault | goal aim purpose |
task job work | part piece portion | whole entire complete | group set collection | example instance case | kind type
sort | way manner | place location spot | area region zone | time period | house home dwelling | road street path |
city town | country nation land | person individual human | child kid | man fellow | woman lady | friend companion |
doctor physician | illness disease sickness | medicine drug medication | treatment therapy | injury wound | death
mortality | study research investigation | examine investigate analyse | measure assess evaluate | compare contrast |
describe explain depict | suggest propose recommend | demonstrate prove | predict forecast | calculate compute |
determine establish | assume presume | car automobile vehicle | ship boat vessel | plane aircraft airplane | speed
velocity | force strength power | heat warmth | cold chilly | food meal | drink beverage | money cash funds | price
cost | shop store | picture image photo | movie film | song tune | book volume | story tale | letter message note |
list array | file document | folder directory | function method routine | string text | number figure | amount
quantity | size extent | shape form | surface face | edge border boundary | top summit | bottom base | run execute |
stop halt cease | open unlock | close shut | wait await | return come | leave depart go | arrive come reach | carry
bear | throw toss hurl | catch seize grab | hit strike beat | hide conceal | hold grasp | pull drag | push shove | cry
weep | laugh giggle | shout yell cry | whisper murmur | walk stroll | travel journey trip | live dwell reside | die
perish | kill slay | fight battle struggle | king ruler monarch | forest wood woods | mountain hill | sea ocean |
river stream | stone rock | gift present | wish desire

"""


def _table() -> dict[str, tuple[str, ...]]:
    table: dict[str, list[str]] = {}
    for group in _GROUPS.split("|"):
        words = group.split()
        for word in words:
            table.setdefault(word, []).extend(other for other in words if other != word)
    return {word: tuple(dict.fromkeys(others)) for word, others in table.items()}


SYNONYMS = _table()
"""Replacements by lower-cased word."""
