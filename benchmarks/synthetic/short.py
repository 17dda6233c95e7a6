"""Documents of one sentence or line each: posts as on Twitter, turns of conversations, shell commands, claims."""

from __future__ import annotations

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import Pattern, make_from_patterns

_POST_SLOTS = {
    "station": ["Ostbridge", "Kellerton", "Maple Row", "Harrowgate North", "Pine Hill", "Lindholm"],
    "line": ["blue line", "S7", "tram 12", "night bus", "airport express"],
    "firm": ["@NordRail", "@ZippyParcel", "@Telvanta", "@FreshCrate", "@BankOfOrl"],
    "dish": ["ramen|noodle soup", "tacos", "pizza", "pho", "falafel|chickpea balls", "burgers|hamburgers"],
    "place": ["the old harbour|the docks", "Castle Square", "Riverside Park|the park by the river", "Mill Lane"],
    "animal": ["puppy|young dog", "kitten|baby cat", "hedgehog", "parrot|talking bird", "tortoise"],
    "show": ["The Copper Gate", "Nightferry", "Seven Winters", "Moss & Daughter"],
    "team": ["Rovers", "the Falcons", "Lindholm FC", "the Harbour Hawks"],
    "score": ["3-1", "0-4", "2-2", "5-0"],
    "exam": ["organic chemistry", "statistics", "driving theory|driver's licence", "contract law"],
    "device": ["phone|mobile", "laptop|notebook computer", "headphones|earbuds", "smartwatch"],
    "weather": ["hail|ice from the sky", "fog", "a heatwave|far too hot", "a thunderstorm|lightning and thunder"],
    "plant": ["tomatoes", "basil", "sunflowers", "chili peppers|hot peppers"],
}
_POSTS = (
    Pattern(
        "stuck at {station} AGAIN, no {line} for an hour 😡 #commute",
        ["{line} delayed {station}", "public transport trouble near {station}", "train is late at {station}"],
    ),
    Pattern(
        "hey {firm} my parcel has been 'out for delivery' for {n} days. where is it??",
        ["{firm} package never arrived after {n} days", "complaint about shipping {firm}"],
    ),
    Pattern(
        "best {dish} of my life tonight at a tiny place near {place} 🤤 #foodie",
        ["where to eat {dish_alt} around {place_alt}", "restaurant tip {dish}", "good food near {place}"],
    ),
    Pattern(
        "we adopted a {animal} today and named it {name} ❤️",
        ["new pet {name}", "someone got a {animal_alt}", "{animal} called {name}"],
    ),
    Pattern(
        "no spoilers pls but that finale of {show}... I am NOT ok 😭 ep {n} broke me",
        ["{show} last episode reaction", "tv series ending made people cry {show}", "{show} episode {n}"],
    ),
    Pattern(
        "{team} {score}!! what a match, my voice is gone #football",
        ["{team} result {score}", "soccer game of {team}", "{team} {score}"],
    ),
    Pattern(
        "{n} hours of sleep and a {exam} exam at 8am. wish me luck",
        ["tired student before {exam_alt} test", "nervous about {exam}", "slept only {n} hours before exam"],
    ),
    Pattern(
        "dropped my {device} in the sink. rice trick, does it work? asking for {name}",
        ["water damage {device_alt}", "{device} got wet", "{name} {device} sink"],
    ),
    Pattern(
        "wow, {weather} over {place} right now, stay inside everyone #weather",
        ["{weather_alt} at {place_alt}", "weather warning {place}", "{weather} {place}"],
    ),
    Pattern(
        "first {plant} from my balcony 🌱 day {n} since sowing #urbangarden",
        ["growing {plant_alt} at home", "{plant} day {n}", "balcony gardening {plant}"],
    ),
    Pattern(
        "{firm} raised the price to {n}9.99 a month with no warning. cancelled.",
        ["{firm} more expensive now", "subscription cost increase {firm}", "{firm} {n}9.99"],
    ),
    Pattern(
        "ran {n} km along {place} before breakfast, legs are jelly #running",
        ["jogging {n} kilometres", "morning run {place_alt}", "exercise near {place}"],
    ),
)
_POST_NUMBERS = {"n": ["2", "3", "4", "5", "11", "21", "42"], "name": ["Biscuit", "Olga", "Tofu", "Mister Plum"]}

_TURN_SLOTS = {
    "city": ["Lisbon", "Oslo", "Montreal", "Nairobi", "Kyoto"],
    "day": ["Monday", "Thursday", "the 14th|the fourteenth", "New Year's Eve|31 December"],
    "people": ["two", "five", "a dozen|twelve"],
    "meal": ["sushi|raw fish", "a vegan burger|something without meat", "lasagne|pasta from the oven", "dumplings"],
    "sender": ["my sister", "Doctor Hale|my physician", "the landlord|the owner of my flat", "Priya"],
    "song": ["'Blue Lantern'", "something by the Quiet Owls", "jazz|swing music", "a lullaby|a song for babies"],
    "room": ["kitchen", "bedroom", "garage|where the car is", "nursery|baby's room"],
    "amount": ["40", "250", "1,300"],
    "item": ["jacket|coat", "trainers|running shoes", "vase", "monitor|computer screen"],
    "pain": ["tooth|dental pain", "left knee|leg joint", "lower back|spine", "ear"],
    "hour": ["six in the morning|6 am", "half past nine|9:30", "noon|midday"],
}
_TURNS = (
    Pattern(
        "I need to move my flight to {city} from {day} to the day after.",
        ["change booking {city}", "rebook air travel on {day_alt}", "{city} flight {day}"],
    ),
    Pattern(
        "Could we have a table for {people} on {day}, please?",
        ["restaurant reservation {day_alt}", "{people_alt} guests want to eat out", "table {people} {day}"],
    ),
    Pattern(
        "Sorry, the {meal} I ordered never came and I have waited since {hour}.",
        ["{meal_alt} was not delivered", "missing food order", "waiting for {meal} since {hour_alt}"],
    ),
    Pattern(
        "Tell {sender} that I will be late, I am still in {city}.",
        ["message to {sender_alt}: delayed", "not on time {sender}", "let {sender} know I am in {city}"],
    ),
    Pattern(
        "Play {song} in the {room}.",
        ["music for the {room_alt}", "listen to {song_alt}", "{song} {room}"],
    ),
    Pattern(
        "Is it too dark in the {room}, or shall I leave the lights off until {hour}?",
        ["illumination of the {room_alt}", "lamps {room} {hour_alt}", "{room} lights"],
    ),
    Pattern(
        "You charged my card {amount} euros twice for the {item}.",
        ["double payment {item_alt}", "billed {amount} two times", "{item} charged twice"],
    ),
    Pattern(
        "The {item} arrived broken, how do I send it back?",
        ["return of a damaged {item_alt}", "refund {item}", "{item} broken"],
    ),
    Pattern(
        "My {pain} has been hurting since {day}, can I see somebody today?",
        ["appointment for {pain_alt}", "patient with an aching {pain}", "{pain} hurts since {day_alt}"],
    ),
    Pattern(
        "Wake me at {hour} on {day}, I must not miss the bus to {city}.",
        ["set an alarm for {hour_alt}", "get up early for the coach to {city}", "alarm {hour} {day}"],
    ),
    Pattern(
        "How much is {amount} euros in the money they use in {city}?",
        ["currency exchange {city}", "convert {amount}", "{amount} euros {city}"],
    ),
    Pattern(
        "I forgot my password again, and {sender} cannot log in either.",
        ["account access lost", "reset credentials, {sender_alt} is locked out as well", "password {sender}"],
    ),
)

_COMMAND_SLOTS = {
    "archive": ["backup.tar.gz", "photos.tar.gz", "site-2024.tar.gz", "logs.tar.gz"],
    "folder": ["/var/log", "/srv/data", "~/projects", "/opt/app", "/mnt/usb"],
    "file": ["access.log", "report.csv", "config.yaml", "notes.txt", "dump.sql"],
    "host": ["db1.example.org", "web3.example.org", "10.0.4.17", "backup.example.net"],
    "port": ["5432", "8080", "6379", "443", "27017"],
    "service": ["nginx|web server", "postgresql|database", "redis|cache", "cron|scheduled jobs"],
    "branch": ["feature-login", "hotfix-112", "release-3.4", "main"],
    "package": ["ripgrep", "imagemagick", "openjdk-17-jre|java", "ffmpeg"],
    "user": ["deploy", "alice", "www-data", "bob"],
    "container": ["api", "worker", "frontend", "mailhog"],
    "word": ["ERROR", "timeout", "TODO", "deprecated"],
    "size": ["100M", "1G", "500k"],
    "video": ["talk.mp4", "holiday.mov", "lecture.mkv"],
    "column": ["2", "3", "5"],
}
_COMMANDS = (
    Pattern(
        "tar -xzf {archive} -C {folder}",
        ["unpack {archive}", "extract gzipped tarball into {folder}", "tar xzf {archive}"],
    ),
    Pattern(
        "tar -czf {archive} {folder}",
        ["compress {folder} into an archive", "create {archive}", "pack {folder} to {archive}"],
    ),
    Pattern(
        "du -sh {folder}/* | sort -h", ["how much disk space does {folder} use", "size of directories in {folder}"]
    ),
    Pattern(
        "find {folder} -type f -size +{size}",
        ["list files larger than {size} in {folder}", "big files in {folder}", "find -size {size}"],
    ),
    Pattern(
        "find {folder} -name '*.{ext}' -mtime +{days} -delete",
        ["remove {ext} files older than {days} days", "clean up old {ext} files in {folder}"],
    ),
    Pattern(
        "grep -rn '{word}' {folder}",
        ["search for {word} in all files under {folder}", "recursive text search {word}", "grep {word} {folder}"],
    ),
    Pattern("tail -f {folder}/{file}", ["follow {file} while it grows", "watch a log file live {file}", "tail {file}"]),
    Pattern(
        "scp {file} {user}@{host}:/tmp", ["copy {file} to another machine {host}", "upload {file} over ssh to {host}"]
    ),
    Pattern(
        "ssh -L {port}:localhost:{port} {user}@{host}",
        ["tunnel port {port} through {host}", "port forwarding {port} {host}", "ssh -L {port}"],
    ),
    Pattern(
        "rsync -avz --delete {folder}/ {host}:{folder}", ["mirror {folder} to {host}", "synchronise {folder} {host}"]
    ),
    Pattern("lsof -i :{port}", ["which process listens on port {port}", "who uses port {port}", "lsof {port}"]),
    Pattern(
        "systemctl restart {service}",
        ["restart the {service_alt}", "{service} hangs, start it anew", "systemctl {service}"],
    ),
    Pattern("journalctl -u {service} --since '{days} days ago'", ["logs of the {service_alt} of the last {days} days"]),
    Pattern(
        "git checkout -b {branch}", ["make a new branch {branch}", "start branch {branch}", "git checkout {branch}"]
    ),
    Pattern("git merge --no-ff {branch}", ["bring the changes of {branch} into mine", "merge {branch}"]),
    Pattern("git push origin --delete {branch}", ["remove remote branch {branch}", "delete {branch} on the server"]),
    Pattern("apt-get install -y {package}", ["install {package_alt}", "{package} debian", "get the {package} package"]),
    Pattern("docker logs -f {container}", ["output of container {container}", "docker logs {container}"]),
    Pattern(
        "docker exec -it {container} sh", ["shell inside the running container {container}", "docker exec {container}"]
    ),
    Pattern("chown -R {user}:{user} {folder}", ["change owner of {folder} to {user}", "give {folder} to {user}"]),
    Pattern("crontab -u {user} -l", ["scheduled tasks of {user}", "show cron jobs of {user}"]),
    Pattern(
        "awk -F, '{{print ${column}}}' {file}", ["print column {column} of {file}", "only field {column} of a csv"]
    ),
    Pattern("sed -i 's/{word}/OK/g' {file}", ["replace {word} in {file}", "substitute text in place {file}"]),
    Pattern(
        "ffmpeg -i {video} -vn audio.mp3", ["extract the sound of {video}", "convert {video} to mp3", "ffmpeg {video}"]
    ),
    Pattern("wc -l {file}", ["count lines in {file}", "how many lines has {file}"]),
    Pattern("sort -u {file} -o {file}", ["drop duplicate lines of {file}", "unique lines {file}"]),
    Pattern("ping -c 4 {host}", ["is {host} reachable", "test network connection to {host}"]),
    Pattern("psql -h {host} -p {port} -c 'VACUUM'", ["tidy up postgres on {host}", "vacuum database {host} {port}"]),
)
_COMMAND_NUMBERS = {"days": ["7", "30", "90"], "ext": ["log", "tmp", "bak"]}

_CLAIM_SLOTS = {
    "river": ["Orvel", "Tamsin", "Great Luda", "Kesh", "Brennach"],
    "city": ["Valmere", "Port Isolde", "Dunhaven", "Sarkova", "Elbruck"],
    "number": ["112", "340", "1,870", "57", "2,405"],
    "year": ["1847", "1911", "1968", "2003", "2019"],
    "food": ["green tea", "dark chocolate|cocoa", "olive oil", "red wine|alcohol", "oat bran|cereal fibre"],
    "disease": ["heart attack|cardiac disease", "type 2 diabetes|high blood sugar", "migraine|headaches", "asthma"],
    "effect": ["lowers|reduces", "raises|increases", "does not change|has no influence on"],
    "species": ["grey wolf", "honey bee", "Atlantic cod|fish", "snow leopard|big cat"],
    "person": ["Ilse Vanterpool", "Marek Dobrowsky", "Amina Castellan", "Jonas Quillfeather"],
    "invention": ["the folding bridge", "a mechanical loom|weaving machine", "the paper battery", "instant plaster"],
    "metal": ["lithium", "cobalt", "tungsten", "nickel"],
    "gas": ["methane", "carbon dioxide|CO2", "ozone"],
    "sector": ["farming|agriculture", "aviation|air travel", "shipping|freight at sea", "steel making|metal industry"],
    "crop": ["wheat", "coffee beans", "rice", "soy"],
}
_CLAIMS = (
    Pattern(
        "The {river} is {number} kilometres long and flows through {city}.",
        ["how long is the river {river}", "which stream passes {city}", "{river} {number} km"],
    ),
    Pattern(
        "Drinking or eating {food} every day {effect} the risk of {disease}.",
        ["is {food_alt} good against {disease_alt}", "{food} {effect_alt} {disease_alt}", "{food} {disease}"],
    ),
    Pattern(
        "{person} invented {invention} in {year}.",
        ["who came up with {invention_alt}", "what did {person} invent", "when was {invention} invented by {person}"],
    ),
    Pattern(
        "The population of {city} fell to {number} thousand after the fire of {year}.",
        ["how many people lived in {city} after it burned", "inhabitants of {city}", "{city} fire {year}"],
    ),
    Pattern(
        "The number of {species}s has {effect3} by {percent} % since {year}.",
        ["are there more or fewer {species_alt}s than in {year}", "{species} population trend {percent} %"],
    ),
    Pattern(
        "{sector} causes {percent} % of all {gas} that people release.",
        ["share of {sector_alt} in {gas_alt} emissions", "{gas} from {sector_alt}", "{percent} % {gas}"],
    ),
    Pattern(
        "The price of {metal} doubled in {year}, as mines near {city} closed.",
        ["why did {metal} become expensive in {year}", "mine closure {city}", "{metal} price {year}"],
    ),
    Pattern(
        "{person} was elected mayor of {city} in {year} with {percent} % of the votes.",
        ["who governs {city}", "election result of {person}", "{person} mayor {city}"],
    ),
    Pattern(
        "Harvests of {crop} around {city} were lost in {year} because of drought.",
        ["dry weather destroyed {crop} near {city}", "crop failure {year} {city}", "{crop} drought {year}"],
    ),
    Pattern(
        "{city} opened its first underground railway in {year}, {number} metres below the {river}.",
        ["subway of {city}", "how deep is the metro under the {river}", "{city} metro opening {year}"],
    ),
    Pattern(
        "Children who sleep less than {hours} hours are {percent} % more likely to get {disease}.",
        ["too little sleep and {disease_alt}", "kids sleep {hours} hours {disease}", "short nights {percent} %"],
    ),
    Pattern(
        "A court in {city} ordered {person} to pay {number} thousand crowns for a copied design of {invention}.",
        ["{person} fined for plagiarism", "lawsuit about {invention_alt} in {city}", "damages {number} thousand"],
    ),
)
_CLAIM_NUMBERS = {
    "percent": ["4", "18", "37", "62"],
    "hours": ["six", "seven", "nine"],
    "effect3": ["grown|increased", "shrunk|declined"],
}


def posts() -> Collection:
    """Short posts with hashtags, handles and emoji."""
    return make_from_patterns("posts", _POSTS, {**_POST_SLOTS, **_POST_NUMBERS}, 400, 300, seed=21)


def turns() -> Collection:
    """What people say to assistants and support desks, a turn a document."""
    return make_from_patterns("turns", _TURNS, _TURN_SLOTS, 400, 300, seed=25)


def commands() -> Collection:
    """Shell commands; asked for by what they do, or by their words."""
    return make_from_patterns("commands", _COMMANDS, {**_COMMAND_SLOTS, **_COMMAND_NUMBERS}, 350, 300, seed=22)


def claims(n_documents: int = 500, n_queries: int = 300, seed: int = 23, name: str = "claims") -> Collection:
    """Claims of one sentence about made-up towns, people and rivers."""
    return make_from_patterns(name, _CLAIMS, {**_CLAIM_SLOTS, **_CLAIM_NUMBERS}, n_documents, n_queries, seed)
