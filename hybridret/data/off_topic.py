"""Questions on everyday matters, which hardly any corpus answers: what their best documents score, chance scores."""

from __future__ import annotations

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


def off_topic_questions(texts: Iterable[str]) -> tuple[str, ...]:
    """The questions in the language of a corpus, as far as there are any.

    Args:
        texts: Some of its documents.

    Returns:
        The Chinese ones where a third of the characters are ideographs, else the English ones.
    """
    characters = "".join(texts)
    ideographs = sum("\u4e00" <= character <= "\u9fff" for character in characters)
    return CHINESE if 3 * ideographs > len(characters) else ENGLISH
