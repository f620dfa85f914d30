"""The words of the micro-world: one row per concept, one column per language. Pure data, no rules.

A concept is named by its English lemma and every concept has one part of speech. English and Spanish share no
word string at all (a test holds this), so equal meanings never share a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = ("en", "zh", "es")


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing that can be counted. `measure` is its Chinese measure word, `feminine` its Spanish gender."""

    en: str
    en_plural: str
    zh: str
    measure: str
    es: str
    es_plural: str
    feminine: bool


@dataclass(frozen=True, slots=True)
class Property:
    """A colour or quality; the Spanish forms are masculine and feminine, singular and plural."""

    en: str
    zh: str
    es: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Verb:
    """frame: `object` (a person does it to things), `creature` (done to animals or people) or `give`."""

    en: str
    en_past: str
    zh: str
    es: str
    es_plural: str
    frame: str


@dataclass(frozen=True, slots=True)
class Place:
    """`en_before` is the English preposition, `zh_after` the Chinese word that follows the place.

    `feminine` decides the Spanish article.
    """

    en: str
    en_before: str
    zh: str
    zh_after: str
    es: str
    feminine: bool


def _nouns(table: str) -> dict[str, Noun]:
    nouns = {}
    for line in table.strip().splitlines():
        en, en_plural, zh, measure, es, es_plural, gender = line.split()
        nouns[en] = Noun(en, en_plural, zh, measure, es, es_plural, gender == "f")
    return nouns


ANIMALS = _nouns("""
cat       cats       猫    只 gato      gatos       m
dog       dogs       狗    条 perro     perros      m
cow       cows       奶牛  头 vaca      vacas       f
horse     horses     马    匹 caballo   caballos    m
pig       pigs       猪    头 cerdo     cerdos      m
sheep     sheep      绵羊  只 oveja     ovejas      f
goat      goats      山羊  只 cabra     cabras      f
duck      ducks      鸭子  只 pato      patos       m
chicken   chickens   母鸡  只 gallina   gallinas    f
rabbit    rabbits    兔子  只 conejo    conejos     m
mouse     mice       老鼠  只 ratón     ratones     m
wolf      wolves     狼    只 lobo      lobos       m
fox       foxes      狐狸  只 zorro     zorros      m
bear      bears      熊    头 oso       osos        m
lion      lions      狮子  头 león      leones      m
tiger     tigers     老虎  只 tigre     tigres      m
elephant  elephants  大象  头 elefante  elefantes   m
monkey    monkeys    猴子  只 mono      monos       m
snake     snakes     蛇    条 serpiente serpientes  f
frog      frogs      青蛙  只 rana      ranas       f
turtle    turtles    乌龟  只 tortuga   tortugas    f
eagle     eagles     老鹰  只 águila    águilas     f
squirrel  squirrels  松鼠  只 ardilla   ardillas    f
camel     camels     骆驼  头 camello   camellos    m
""")

OBJECTS = _nouns("""
book      books      书    本 libro     libros      m
hat       hats       帽子  顶 sombrero  sombreros   m
chair     chairs     椅子  把 silla     sillas      f
table     tables     桌子  张 mesa      mesas       f
apple     apples     苹果  个 manzana   manzanas    f
shirt     shirts     衬衫  件 camisa    camisas     f
letter    letters    信    封 carta     cartas      f
key       keys       钥匙  把 llave     llaves      f
lamp      lamps      灯    盏 lámpara   lámparas    f
bottle    bottles    瓶子  个 botella   botellas    f
box       boxes      盒子  个 caja      cajas       f
knife     knives     刀    把 cuchillo  cuchillos   m
flower    flowers    花    朵 flor      flores      f
clock     clocks     钟    座 reloj     relojes     m
mirror    mirrors    镜子  面 espejo    espejos     m
bicycle   bicycles   自行车 辆 bicicleta bicicletas f
umbrella  umbrellas  雨伞  把 paraguas  paraguas    m
stone     stones     石头  块 piedra    piedras     f
""")

COLOURS = {
    "red": Property("red", "红色", ("rojo", "roja", "rojos", "rojas")),
    "blue": Property("blue", "蓝色", ("azul", "azul", "azules", "azules")),
    "green": Property("green", "绿色", ("verde", "verde", "verdes", "verdes")),
    "yellow": Property("yellow", "黄色", ("amarillo", "amarilla", "amarillos", "amarillas")),
    "black": Property("black", "黑色", ("negro", "negra", "negros", "negras")),
    "white": Property("white", "白色", ("blanco", "blanca", "blancos", "blancas")),
    "brown": Property("brown", "棕色", ("marrón", "marrón", "marrones", "marrones")),
    "grey": Property("grey", "灰色", ("gris", "gris", "grises", "grises")),
}

QUALITIES = {
    "clean": Property("clean", "干净", ("limpio", "limpia", "limpios", "limpias")),
    "dirty": Property("dirty", "肮脏", ("sucio", "sucia", "sucios", "sucias")),
    "strange": Property("strange", "奇怪", ("extraño", "extraña", "extraños", "extrañas")),
    "beautiful": Property("beautiful", "漂亮", ("hermoso", "hermosa", "hermosos", "hermosas")),
    "heavy": Property("heavy", "沉重", ("pesado", "pesada", "pesados", "pesadas")),
    "huge": Property("huge", "巨大", ("enorme", "enorme", "enormes", "enormes")),
}

PROPERTIES = COLOURS | QUALITIES

# number -> (concept and English word, Chinese word before a measure word, Spanish word)
NUMBERS = {
    1: ("one", "一", "un"),
    2: ("two", "两", "dos"),
    3: ("three", "三", "tres"),
    4: ("four", "四", "cuatro"),
    5: ("five", "五", "cinco"),
    6: ("six", "六", "seis"),
    7: ("seven", "七", "siete"),
    8: ("eight", "八", "ocho"),
    9: ("nine", "九", "nueve"),
}

# English name (and concept) -> Chinese, Spanish
NAMES = {
    "John": ("约翰", "Juan"),
    "Peter": ("彼得", "Pedro"),
    "Paul": ("保罗", "Pablo"),
    "James": ("詹姆斯", "Jaime"),
    "George": ("乔治", "Jorge"),
    "Joseph": ("约瑟夫", "José"),
    "Michael": ("迈克尔", "Miguel"),
    "William": ("威廉", "Guillermo"),
    "Henry": ("亨利", "Enrique"),
    "Charles": ("查尔斯", "Carlos"),
    "Matthew": ("马修", "Mateo"),
    "Andrew": ("安德鲁", "Andrés"),
    "Mary": ("玛丽", "María"),
    "Anne": ("安妮", "Ana"),
    "Alice": ("爱丽丝", "Alicia"),
    "Helen": ("海伦", "Elena"),
    "Catherine": ("凯瑟琳", "Catalina"),
    "Elizabeth": ("伊丽莎白", "Isabel"),
    "Lucy": ("露西", "Lucía"),
    "Margaret": ("玛格丽特", "Margarita"),
}

VERBS = {
    verb.en: verb
    for verb in (
        Verb("buy", "bought", "买", "compró", "compraron", "object"),
        Verb("find", "found", "找到", "encontró", "encontraron", "object"),
        Verb("lose", "lost", "丢", "perdió", "perdieron", "object"),
        Verb("hide", "hid", "藏", "escondió", "escondieron", "object"),
        Verb("paint", "painted", "画", "pintó", "pintaron", "object"),
        Verb("wash", "washed", "洗", "lavó", "lavaron", "object"),
        Verb("steal", "stole", "偷", "robó", "robaron", "object"),
        Verb("carry", "carried", "搬", "llevó", "llevaron", "object"),
        Verb("see", "saw", "看见", "vio", "vieron", "creature"),
        Verb("follow", "followed", "跟踪", "siguió", "siguieron", "creature"),
        Verb("chase", "chased", "追赶", "persiguió", "persiguieron", "creature"),
        Verb("help", "helped", "帮助", "ayudó", "ayudaron", "creature"),
        Verb("bite", "bit", "咬", "mordió", "mordieron", "creature"),
        Verb("protect", "protected", "保护", "protegió", "protegieron", "creature"),
        Verb("feed", "fed", "喂", "alimentó", "alimentaron", "creature"),
        Verb("give", "gave", "送给", "dio", "dieron", "give"),
        Verb("sell", "sold", "卖给", "vendió", "vendieron", "give"),
        Verb("send", "sent", "寄给", "envió", "enviaron", "give"),
        Verb("lend", "lent", "借给", "prestó", "prestaron", "give"),
        Verb("bring", "brought", "带给", "trajo", "trajeron", "give"),
        Verb("return", "returned", "还给", "devolvió", "devolvieron", "give"),
        Verb("throw", "threw", "扔给", "lanzó", "lanzaron", "give"),
    )
}

# Participles that differ from the past.
PARTICIPLES = {
    "hide": "hidden",
    "steal": "stolen",
    "see": "seen",
    "bite": "bitten",
    "give": "given",
    "throw": "thrown",
}

PLACES = {
    place.en: place
    for place in (
        Place("park", "in", "公园", "里", "parque", False),
        Place("market", "at", "市场", "里", "mercado", False),
        Place("kitchen", "in", "厨房", "里", "cocina", True),
        Place("garden", "in", "花园", "里", "jardín", False),
        Place("school", "at", "学校", "里", "escuela", True),
        Place("forest", "in", "森林", "里", "bosque", False),
        Place("house", "in", "房子", "里", "casa", True),
        Place("village", "in", "村庄", "里", "pueblo", False),
        Place("station", "at", "车站", "里", "estación", True),
        Place("library", "in", "图书馆", "里", "biblioteca", True),
        Place("field", "in", "田野", "里", "campo", False),
        Place("beach", "on", "海滩", "上", "playa", True),
        Place("street", "on", "街道", "上", "calle", True),
        Place("castle", "in", "城堡", "里", "castillo", False),
        Place("shop", "in", "商店", "里", "tienda", True),
        Place("square", "in", "广场", "上", "plaza", True),
    )
}

# What the facts are about (facts.py): words apart from `lexicon()`, so that events know nothing of them. The Spanish
# values are all masculine or all without an article, so that the words before the value do not tell it.


@dataclass(frozen=True, slots=True)
class Relation:
    """A verb in each language, what stands between it and the value, and the values: English -> Chinese, Spanish."""

    en: tuple[str, str]
    zh: tuple[str, str, str]
    es: tuple[str, str]
    values: Mapping[str, tuple[str, str]]


RELATIONS = {
    "eat": Relation(
        ("eats", ""),
        ("吃", "", ""),
        ("come", ""),
        {
            "fish": ("鱼", "pescado"),
            "grass": ("草", "hierba"),
            "meat": ("肉", "carne"),
            "corn": ("玉米", "maíz"),
            "bread": ("面包", "pan"),
            "rice": ("米饭", "arroz"),
            "honey": ("蜂蜜", "miel"),
            "cheese": ("奶酪", "queso"),
        },
    ),
    "live": Relation(
        ("lives", "in the"),
        ("住", "在", "里"),
        ("vive", "en el"),
        {
            "river": ("河", "río"),
            "lake": ("湖", "lago"),
            "sea": ("海", "mar"),
            "desert": ("沙漠", "desierto"),
            "valley": ("山谷", "valle"),
            "swamp": ("沼泽", "pantano"),
            "volcano": ("火山", "volcán"),
            "canyon": ("峡谷", "cañón"),
        },
    ),
    "fear": Relation(
        ("fears", ""),
        ("害怕", "", ""),
        ("teme", "al"),
        {
            "fire": ("火", "fuego"),
            "thunder": ("雷", "trueno"),
            "wind": ("风", "viento"),
            "smoke": ("烟", "humo"),
            "ice": ("冰", "hielo"),
            "mud": ("泥", "barro"),
            "noise": ("噪音", "ruido"),
            "winter": ("冬天", "invierno"),
        },
    ),
}

# What a program's functions call their parameters; which of the four depends on the verb. `give` has the first.
PARAMETERS = {
    "agent": ("agent", "owner", "person", "player"),
    "theme": ("theme", "item", "target", "thing"),
    "recipient": ("recipient", "receiver", "friend", "partner"),
    "place": ("place", "location", "spot", "area"),
}
ROLES = ("agent", "theme", "recipient")

NEGATION = {"en": "not", "zh": "没有", "es": "no"}
NOUNS = ANIMALS | OBJECTS


def lexicon() -> dict[str, dict[str, str]]:
    """concept -> language -> its main surface word (nouns singular, verbs in the past, Spanish masculine)."""
    table: dict[str, dict[str, str]] = {}
    for concept, noun in NOUNS.items():
        table[concept] = {"en": noun.en, "zh": noun.zh, "es": noun.es}
    for concept, word in PROPERTIES.items():
        table[concept] = {"en": word.en, "zh": word.zh, "es": word.es[0]}
    for concept, zh, es in NUMBERS.values():
        table[concept] = {"en": concept, "zh": zh, "es": es}
    for concept, (zh, es) in NAMES.items():
        table[concept] = {"en": concept, "zh": zh, "es": es}
    for concept, verb in VERBS.items():
        table[concept] = {"en": verb.en_past, "zh": verb.zh, "es": verb.es}
    for concept, place in PLACES.items():
        table[concept] = {"en": place.en, "zh": place.zh, "es": place.es}
    table["not"] = dict(NEGATION)
    return table


def fact_lexicon() -> dict[str, dict[str, str]]:
    """concept -> language -> its word: the verbs and the values of the facts."""
    table: dict[str, dict[str, str]] = {}
    for concept, relation in RELATIONS.items():
        table[concept] = {"en": relation.en[0], "zh": relation.zh[0], "es": relation.es[0]}
        for value, (zh, es) in relation.values.items():
            table[value] = {"en": value, "zh": zh, "es": es}
    return table
