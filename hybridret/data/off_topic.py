"""Questions on everyday matters, which hardly any corpus answers: what their best documents score, chance scores."""

from __future__ import annotations

import re
from collections.abc import Iterable

ENGLISH = (
    "how long does bread dough have to rest",
    "how much salt goes into a pot of soup",
    "what can I bake with overripe bananas",
    "how do I get grass stains out of trousers",
    "why do onions make me cry",
    "which herbs grow well on a shady balcony",
    "when should I prune roses",
    "how often do house plants need water",
    "why does my cat scratch the sofa",
    "how do I teach a puppy to sit",
    "what do hedgehogs eat in winter",
    "how many players are in a football team",
    "what is the offside rule",
    "how do I train for my first marathon",
    "who won the last tennis final",
    "how do I learn to swim as an adult",
    "what is a good opening in chess",
    "how do I tune a guitar",
    "who made the statue on the market square",
    "what is the difference between a violin and a viola",
    "which film should we watch with the children tonight",
    "what shall I wear to a wedding in spring",
    "how do I tie a bow tie",
    "how do I fall asleep faster",
    "what helps against hiccups",
    "how do I get rid of a blister",
    "how warm will it be at the weekend",
    "why is the sky blue in the day and red in the evening",
    "how far away is the moon",
    "what causes the tides",
    "when does the bus to the airport leave",
    "what should I pack for a week at the beach",
    "which sights can be seen in one day in Rome",
    "how much should I tip in a restaurant",
    "how do I write a birthday card to my aunt",
    "what present is right for a ten year old boy",
    "who was the first queen of the country",
    "in which year did the war end",
    "how are votes counted in an election",
    "how do I change a bicycle tyre",
    "why does my car not start when it is cold",
    "how do I paint a wall without stripes",
    "how do I hang a picture without a drill",
    "what is the best way to clean windows",
    "how do I sew on a button",
    "how do I make friends in a new town",
    "tell me a joke about a penguin",
    "what rhymes with orange",
)
CHINESE = (
    "面团要发多久",
    "一锅汤要放多少盐",
    "熟透的香蕉可以做什么点心",
    "裤子上的草渍怎么洗掉",
    "切洋葱为什么会流眼泪",
    "阴凉的阳台适合种什么香草",
    "玫瑰什么时候修剪",
    "室内植物多久浇一次水",
    "猫为什么老是抓沙发",
    "怎么教小狗坐下",
    "刺猬冬天吃什么",
    "一支足球队有几个人",
    "什么叫越位",
    "第一次跑马拉松怎么训练",
    "上一届网球决赛谁赢了",
    "成年人怎么学游泳",
    "下象棋怎么开局比较好",
    "吉他怎么调音",
    "广场上的雕像是谁做的",
    "小提琴和中提琴有什么区别",
    "今晚和孩子看什么电影好",
    "春天参加婚礼穿什么",
    "领结怎么打",
    "怎样才能更快入睡",
    "打嗝怎么办",
    "脚上起泡怎么处理",
    "周末有多暖和",
    "天空为什么白天是蓝的傍晚是红的",
    "月亮离我们有多远",
    "潮汐是怎么来的",
    "去机场的巴士几点开",
    "去海边一个星期要带什么",
    "一天之内在罗马能看什么景点",
    "在饭店要给多少小费",
    "给姑妈的生日贺卡怎么写",
    "送十岁男孩什么礼物合适",
    "这个国家的第一位女王是谁",
    "战争是哪一年结束的",
    "选举的票是怎么数的",
    "自行车胎怎么换",
    "天冷的时候汽车为什么发动不了",
    "墙怎么刷才没有条纹",
    "不用电钻怎么挂画",
    "窗户怎么擦最干净",
    "扣子怎么缝",
    "到了新城市怎么交朋友",
    "讲一个关于企鹅的笑话",
    "什么字和花押韵",
)


GERMAN = (
    "wie lange muss Brotteig gehen",
    "wie viel Salz kommt in einen Topf Suppe",
    "was kann ich aus reifen Bananen backen",
    "wie bekomme ich Grasflecken aus der Hose",
    "warum muss ich beim Zwiebelschneiden weinen",
    "wann schneidet man Rosen",
    "wie oft brauchen Zimmerpflanzen Wasser",
    "warum kratzt meine Katze am Sofa",
    "wie bringe ich einem Welpen bei, Sitz zu machen",
    "was fressen Igel im Winter",
    "wie viele Spieler hat eine Fußballmannschaft",
    "wie lerne ich als Erwachsener schwimmen",
    "wie stimmt man eine Gitarre",
    "welchen Film sollen wir heute mit den Kindern ansehen",
    "was ziehe ich zu einer Hochzeit im Frühling an",
    "was hilft gegen Schluckauf",
    "wie warm wird es am Wochenende",
    "warum ist der Himmel blau",
    "wie weit ist der Mond entfernt",
    "wann fährt der Bus zum Flughafen",
    "was packe ich für eine Woche am Meer ein",
    "in welchem Jahr endete der Krieg",
    "wie wechselt man einen Fahrradreifen",
    "erzähl mir einen Witz über einen Pinguin",
)
FRENCH = (
    "combien de temps la pâte à pain doit-elle reposer",
    "combien de sel met-on dans une casserole de soupe",
    "que peut-on faire avec des bananes trop mûres",
    "comment enlever des taches d'herbe d'un pantalon",
    "pourquoi les oignons font-ils pleurer",
    "quand faut-il tailler les rosiers",
    "à quelle fréquence arroser les plantes d'intérieur",
    "pourquoi mon chat griffe-t-il le canapé",
    "comment apprendre à un chiot à s'asseoir",
    "que mangent les hérissons en hiver",
    "combien de joueurs compte une équipe de football",
    "comment apprendre à nager à l'âge adulte",
    "comment accorder une guitare",
    "quel film regarder ce soir avec les enfants",
    "comment s'habiller pour un mariage au printemps",
    "que faire contre le hoquet",
    "quel temps fera-t-il ce week-end",
    "pourquoi le ciel est-il bleu",
    "à quelle distance se trouve la lune",
    "quand part le bus pour l'aéroport",
    "que mettre dans la valise pour une semaine à la mer",
    "en quelle année la guerre a-t-elle pris fin",
    "comment changer un pneu de vélo",
    "raconte-moi une blague sur un pingouin",
)
SPANISH = (
    "cuánto tiempo tiene que reposar la masa de pan",
    "cuánta sal lleva una olla de sopa",
    "qué puedo hacer con plátanos muy maduros",
    "cómo se quitan las manchas de hierba del pantalón",
    "por qué las cebollas hacen llorar",
    "cuándo se podan los rosales",
    "cada cuánto se riegan las plantas de interior",
    "por qué mi gato araña el sofá",
    "cómo enseño a un cachorro a sentarse",
    "qué comen los erizos en invierno",
    "cuántos jugadores tiene un equipo de fútbol",
    "cómo se aprende a nadar de adulto",
    "cómo se afina una guitarra",
    "qué película vemos esta noche con los niños",
    "qué me pongo para una boda en primavera",
    "qué se puede hacer contra el hipo",
    "qué tiempo hará el fin de semana",
    "por qué el cielo es azul",
    "a qué distancia está la luna",
    "a qué hora sale el autobús al aeropuerto",
    "qué llevo en la maleta para una semana en la playa",
    "en qué año terminó la guerra",
    "cómo se cambia una rueda de bicicleta",
    "cuéntame un chiste sobre un pingüino",
)
_QUESTIONS = {"english": ENGLISH, "german": GERMAN, "french": FRENCH, "spanish": SPANISH, "chinese": CHINESE}
_FUNCTION_WORDS = {
    "english": "the of and to in is that for it with as was on are be this by from or an at not which have",
    "german": "der die und das den von ist mit dem des nicht ein eine auf im für werden wird sich auch zu als bei",
    "french": "le les et des du est une dans que pour par sur qui au pas avec il ne ce sont plus être elle aux",
    "spanish": "el los las y del que es una por con para se no su al lo como más pero sus fue está este ser",
}
_LEAST_SHARE, _LEAST_COUNT = 0.05, 3


def detect_language(texts: Iterable[str]) -> str | None:
    """The language of a corpus among those that there are off-topic questions in.

    Args:
        texts: Some of its documents.

    Returns:
        ``chinese`` where a third of the characters are ideographs; else the language whose most frequent function words
        make up most of the words, if that is a twentieth or more, and three words; else None.
    """
    text = "\n".join(texts).lower()
    if 3 * sum("\u4e00" <= character <= "\u9fff" for character in text) > len(text):
        return "chinese"
    words = re.findall(r"[^\W\d_]+", text)
    counts = {
        language: sum(word in frequent for word in words)
        for language, frequent in ((name, set(listed.split())) for name, listed in _FUNCTION_WORDS.items())
    }
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] >= max(_LEAST_COUNT, _LEAST_SHARE * len(words)) else None


def off_topic_questions(language: str | None) -> tuple[str, ...]:
    """The questions in a language; the English ones where it is not known, which tell little of another."""
    return _QUESTIONS["english" if language is None else language]
