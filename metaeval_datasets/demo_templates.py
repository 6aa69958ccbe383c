"""Provide the words and templates of the demo tasks: data for ``metaeval_datasets.demo``, written for this project.

A template is English text with slots. ``{colour}`` is replaced by a random entry of the list ``colour``, which may
contain slots itself. Slots with the same number (``{name.1}`` ... ``{name.1}``) get the same entry within a row. Two
vertical bars separate the two sentences of a pair. The classes of a task are the keys of ``templates``, in index order.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DemoTemplates:
    """Describe how the rows of one demo task are generated.

    Attributes:
        templates: class name -> its templates; each row uses one of them, with equal probability.
        shares: probability of each class, in the order of ``templates``; they sum to 1.
        words: slot lists of this task, used before the common ones in ``WORDS``.
    """

    templates: dict[str, tuple[str, ...]]
    shares: tuple[float, ...]
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.templates):
            raise ValueError(f"{len(self.shares)} shares for {len(self.templates)} classes {list(self.templates)}")
        if abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"the shares {self.shares} sum to {sum(self.shares)}, expected 1")


def _lines(text: str) -> tuple[str, ...]:
    """Split a block into its non-empty lines, without the indentation."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _list(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of words or phrases."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


WORDS = {
    "name": _list(
        "Anna, Boris, Carla, David, Elena, Farid, Greta, Hugo, Irene, Jonas, Karim, Laura, Marco, Nadia, Oscar, Petra,"
        "Rosa, Samir, Tara, Viktor"
    ),
    "worker": _list(
        "baker, teacher, nurse, driver, farmer, painter, doctor, gardener, waiter, singer, librarian, clerk"
    ),
    "workers": _list(
        "bakers, teachers, nurses, drivers, farmers, painters, doctors, gardeners, waiters, singers, clerks"
    ),
    "relative": _list("sister, brother, cousin, aunt, uncle, grandmother, neighbour, friend, colleague"),
    "thing": _list("bicycle, ladder, umbrella, lamp, chair, suitcase, camera, guitar, basket, mirror, jacket, table"),
    "things": _list(
        "bicycles, ladders, umbrellas, lamps, chairs, suitcases, cameras, guitars, baskets, mirrors, jackets"
    ),
    "place": _list("kitchen, garden, station, library, market, school, hotel, museum, office, park, harbour, village"),
    "day": _list("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "adjective": _list("old, new, small, quiet, famous, strange, lovely, noisy, strong, little, big, tall"),
    "fruit": _list("apples, cherries, grapes, a peach, a banana, strawberries, a pear, plums"),
    "animal": _list("dog, cat, horse, goat, parrot, rabbit"),
    "animals": _list("dogs, cats, horses, goats, parrots, rabbits"),
}

_FILM_WORDS = {
    "good": _list("moving, funny, brilliant, gripping, charming, clever, touching, delightful, memorable, wonderful"),
    "bad": _list("dull, boring, clumsy, predictable, tedious, shallow, silly, painful, forgettable, terrible"),
    "part": _list("plot, acting, music, ending, dialogue, script, first half, last scene, opening, humour"),
    "genre": _list("comedy, thriller, drama, western, romance, documentary, cartoon, musical"),
    "praise": _list(
        "I would watch it again, it is worth every cent, the hours flew by, the audience cheered, I left smiling"
    ),
    "blame": _list("I left early, it is a waste of money, the hours dragged on, the audience sighed, I fell asleep"),
}

FILM_REVIEWS = DemoTemplates(
    shares=(0.46, 0.54),
    words=_FILM_WORDS,
    templates={
        "negative": _lines("""
            The {part} is {bad} and the {part} is {bad}.
            A {bad} {genre} with a {bad} {part}.
            The {part} is {good}, but the {part} is {bad} and {blame}.
            I expected a {good} {genre} and got a {bad} one.
            Despite the {good} {part}, this {genre} is {bad}.
            The {part} of this {genre} is not {good} at all.
            {blame}, because the {part} of this {genre} is so {bad}.
            {name} plays in this {genre} and the {part} is {bad}: {blame}.
            Neither the {part} nor the {part} is {good}, and {blame}.
        """),
        "positive": _lines("""
            The {part} is {good} and the {part} is {good}.
            A {good} {genre} with a {good} {part}.
            The {part} is {bad}, but the {part} is {good} and {praise}.
            I expected a {bad} {genre} and got a {good} one.
            Despite the {bad} {part}, this {genre} is {good}.
            The {part} of this {genre} is not {bad} at all.
            {praise}, because the {part} of this {genre} is so {good}.
            {name} plays in this {genre} and the {part} is {good}: {praise}.
            Neither the {part} nor the {part} is {bad}, and {praise}.
        """),
    },
)

SHOP_REVIEWS = DemoTemplates(
    shares=(0.30, 0.18, 0.52),
    words={
        "product": _list(
            "kettle, lamp, backpack, chair, phone, blanket, toaster, jacket, umbrella, keyboard, mattress, clock"
        ),
        "plus": _list(
            "works perfectly, arrived early, feels solid, is easy to clean, looks elegant, is great value,"
            "is light and strong, makes my mornings better"
        ),
        "minus": _list(
            "broke after a week, arrived late, feels cheap, is hard to clean, smells strange, is far too expensive,"
            "makes an awful noise, stopped working"
        ),
        "fact": _list("is blue, weighs two kilos, comes in a box, has three buttons, is made of wood, fits on a shelf"),
        "happy": _list("I love it, five stars, highly recommended, what a bargain, my {relative} wants one too"),
        "angry": _list(
            "I want my money back, one star, never again, what a disappointment, my {relative} laughed at it"
        ),
        "flat": _list("it is fine, three stars, nothing special, it does what it should, no strong opinion"),
    },
    templates={
        "negative": _lines("""
            The {product} {minus}. {angry}.
            {angry}: this {product} {minus} and {minus}.
            The {product} {plus}, but it {minus}. {angry}.
            I bought this {product} for my {relative} and it {minus}.
            The {product} {fact}, but it {minus}.
        """),
        "neutral": _lines("""
            The {product} {fact} and {fact}.
            The {product} {fact}. {flat}.
            The {product} {plus} but {minus}, so {flat}.
            I bought this {product} for my {relative}. It {fact}, {flat}.
        """),
        "positive": _lines("""
            The {product} {plus}. {happy}.
            {happy}: this {product} {plus} and {plus}.
            The {product} {minus} at first, but the new one {plus}. {happy}.
            I bought this {product} for my {relative} and it {plus}.
            The {product} {fact} and it {plus}.
        """),
    },
)

FEELINGS = DemoTemplates(
    shares=(0.15, 0.10, 0.15, 0.30, 0.20, 0.10),
    words={
        "when": _list("last night, this morning, on {day}, after lunch, at the {place}, again today"),
        "anger": _list("furious, angry, annoyed, outraged"),
        "anger_event": _list(
            "somebody scratched my {thing}, the {worker} lied to me, my {relative} broke a promise,"
            "they cancelled the contract, a stranger pushed me, the {worker} shouted at my {relative}"
        ),
        "disgust": _list("sick, disgusted, revolted"),
        "disgust_event": _list(
            "there was hair in the soup, the milk smelled rotten, a rat ran over the plates,"
            "the fridge was full of mould,"
            "somebody spat on the floor, the toilet was filthy"
        ),
        "fear": _list("afraid, scared, terrified, nervous"),
        "fear_event": _list(
            "I heard steps in the dark, the lift got stuck, the plane began to shake, the dog showed its teeth,"
            "the doctor wanted to see me at once, somebody followed my {relative}"
        ),
        "joy": _list("happy, delighted, glad, proud, thrilled"),
        "joy_event": _list(
            "my {relative} came to visit, we won the game, the baby laughed, I passed the test,"
            "they offered me the job,"
            "we danced until midnight, the sun came out for the picnic, my {relative} got married"
        ),
        "sadness": _list("sad, lonely, heartbroken, miserable"),
        "sadness_event": _list(
            "my {relative} moved away, our old dog died, nobody came to my party, I lost the letters of my {relative},"
            "the house of my childhood was sold, my best friend stopped calling"
        ),
        "surprise": _list("surprised, amazed, astonished"),
        "surprise_event": _list(
            "my {relative} suddenly spoke Chinese, it snowed in July, the cake was made of paper,"
            "I met my old {worker} on a mountain, the {worker} turned out to be my cousin,"
            "there was a horse in the lift"
        ),
    },
    templates={
        feeling: tuple(
            template.replace("FEELING", feeling)
            for template in _lines("""
            I was so {FEELING} when {FEELING_event} {when}.
            {FEELING_event} {when} and I felt {FEELING}.
            {when}: {FEELING_event}, I can hardly describe it.
            Imagine, {FEELING_event} {when}, and {name} was there too.
            {name} was {FEELING} because {FEELING_event}.
            """)
        )
        for feeling in ("anger", "disgust", "fear", "joy", "sadness", "surprise")
    },
)

MANNERS = DemoTemplates(
    shares=(0.42, 0.58),
    words={
        "use": _list(
            "borrowed the {thing}, opened the letter, read the diary, took the keys, moved the {thing}, used the phone"
        ),
        "kind": _list(
            "help the {worker} with the {thing}, carry the bags of a {relative}, thank the {worker},"
            "wait for the {relative},"
            "visit a sick {relative}, share the {fruit} with a {relative}, hold the door for the {worker},"
            "pay the {worker}"
        ),
        "rude": _list(
            "insult the {worker}, lie to a {relative}, laugh at the {worker}, steal the {thing},"
            "hide the keys of a {relative},"
            "cheat the {worker}, throw {fruit} at a {relative}, break the {thing} on purpose"
        ),
        "polite": _list("after asking politely, with permission, and gave it back the same day, and said thank you"),
        "impolite": _list("without asking, in secret, and never gave it back, and denied it later"),
        "excuse": _list("because it was {day}, for fun, out of boredom, in the {place}"),
    },
    templates={
        "unacceptable": _lines("""
            {name} {use} of a {relative} {impolite}.
            {name} decided to {rude} {excuse}.
            {name} tried to {rude} in the {place}.
            {name} refused to {kind} {excuse}.
            {name} promised to {kind} but forgot about it.
            {name} told everyone to {rude}.
        """),
        "acceptable": _lines("""
            {name} {use} of a {relative} {polite}.
            {name} decided to {kind} {excuse}.
            {name} tried to {kind} in the {place}.
            {name} refused to {rude} {excuse}.
            {name} promised to {kind} and kept the promise.
            {name} told everyone not to {rude}.
        """),
    },
)

WELL_FORMED = DemoTemplates(
    shares=(0.42, 0.58),
    words={
        "done": _list("painted, cleaned, carried, moved"),
        "do": _list("paint, clean, carry, move"),
        "doing": _list("painting, cleaning, carrying, moving"),
        "does": _list("paints, cleans, carries, moves"),
        "often": _list("often, never, always"),
    },
    templates={
        "unacceptable": _lines("""
            The {worker} has {do} the {thing} in the {place}.
            The {adjective} {worker} has {doing} the {thing} in the {place}.
            The {worker} have {done} the {adjective} {thing}.
            The {workers} {often} {does} the {things}.
            The {workers} is {doing} the {things} in the {place}.
            The {worker} {do} the {thing} {often} on {day}.
            The {worker} the {adjective} {thing} has {done}.
            {name} will {doing} the {adjective} {thing} on {day}.
            {name} is {do} the {adjective} {thing} in {place}.
            {adjective} {worker} in {place} has {done} {thing}.
            Has the {worker} {doing} the {adjective} {thing}?
        """),
        "acceptable": _lines("""
            The {worker} has {done} the {thing} in the {place}.
            The {adjective} {worker} is {doing} the {thing} in the {place}.
            The {worker} has {done} the {adjective} {thing}.
            The {workers} {often} {do} the {things}.
            The {workers} are {doing} the {things} in the {place}.
            The {worker} {often} {does} the {thing} on {day}.
            The {worker} {done} the {adjective} {thing} on {day}.
            {name} will {do} the {adjective} {thing} on {day}.
            {name} is {doing} the {adjective} {thing} in the {place}.
            The {adjective} {worker} in the {place} has {done} the {thing}.
            Has the {worker} {done} the {adjective} {thing}?
        """),
    },
)

SUBJECT_NUMBER = DemoTemplates(
    shares=(0.5, 0.5),
    words={
        "one": ("{worker}", "{animal}", "{thing}"),
        "many": ("{workers}", "{animals}", "{things}"),
        "near": _list("near the, behind the, next to the, in front of the"),
        "vanished": _list("vanished, fell, appeared, stayed, moved"),
        "vanishes": _list("vanishes, falls, appears, stays, moves"),
        "vanish": _list("vanish, fall, appear, stay, move"),
    },
    templates={
        "singular": _lines("""
            The {one} {vanished} on {day}.
            The {adjective} {one} {near} {many} {vanished}.
            The {adjective} {one} {near} {one} {vanishes}.
            A {adjective} {one} {vanished} in the {place}.
            On {day} the {one} of {name} {vanishes}.
            In the {place}, the {one} {near} {adjective} {many} was {adjective}.
        """),
        "plural": _lines("""
            The {many} {vanished} on {day}.
            The {adjective} {many} {near} {one} {vanished}.
            The {adjective} {many} {near} {many} {vanish}.
            Some {adjective} {many} {vanished} in the {place}.
            On {day} the {many} of {name} {vanish}.
            In the {place}, the {many} {near} {adjective} {one} were {adjective}.
        """),
    },
)

TENSE = DemoTemplates(
    shares=(0.38, 0.24, 0.38),
    words={
        "past": _list("painted, repaired, cleaned, carried, sold, wrote about, forgot, bought"),
        "present": _list("paints, repairs, cleans, carries, sells, writes about, forgets, buys"),
        "base": _list("paint, repair, clean, carry, sell, write about, forget, buy"),
        "participle": _list("painting, repairing, cleaning, carrying, selling, buying"),
        "who": ("{name}", "the {worker}", "the {adjective} {worker}", "my {relative}"),
        "tail": ("in the {place}", "on {day}", "for {name}", "with a {relative}", "near the {place}"),
    },
    templates={
        "past": _lines("""
            {who} {past} the {thing} {tail}.
            {who} {past} the {adjective} {thing} {tail}.
            {who} was {participle} the {thing} {tail}.
            {who} did not {base} the {thing} {tail}.
            {who}, who likes the {place}, {past} the {thing} {tail}.
        """),
        "future": _lines("""
            {who} will {base} the {thing} {tail}.
            {who} is going to {base} the {adjective} {thing} {tail}.
            {who} will not {base} the {thing} {tail}.
            {who}, who left the {place}, will {base} the {thing} {tail}.
        """),
        "present": _lines("""
            {who} {present} the {thing} {tail}.
            {who} {present} the {adjective} {thing} {tail}.
            {who} is {participle} the {thing} {tail}.
            {who} does not {base} the {thing} {tail}.
            {who}, who left the {place}, {present} the {thing} {tail}.
        """),
    },
)

DIALOGUE_ACTS = DemoTemplates(
    shares=(0.12, 0.22, 0.16, 0.38, 0.12),
    words={
        "hello": _list("hello, hi, good morning, good evening, welcome"),
        "state": _list(
            "is closed on {day}, is next to the {place}, needs a new {thing}, opens on {day}, was full on {day}"
        ),
        "do_it": _list(
            "open the window, bring the {thing}, call the {worker}, wait at the {place}, close the door, buy {fruit}"
        ),
        "favour": _list("the {thing}, the {fruit}, your help on {day}, the lovely evening, your letter"),
    },
    templates={
        "greeting": _lines("""
            {hello} {name}, nice to see you in the {place}.
            {hello} {name}, how are you on this fine {day}?
            {hello}, I am {name}, the new {worker}.
            {hello} everyone, {name} is here with the {thing}.
        """),
        "question": _lines("""
            Is it true that the {place} {state}?
            Where did {name} leave the {adjective} {thing}?
            Do you know whether the {place} {state}, {name}?
            Who is the {adjective} {worker} over there?
            {name}, did your {relative} go to the {place} on {day}?
        """),
        "request": _lines("""
            Please {do_it} on {day}.
            Could you {do_it}, {name}?
            {name}, {do_it} as soon as you can.
            I need you to {do_it} before {day}.
            Would you mind helping {name}? You could {do_it}.
        """),
        "statement": _lines("""
            The {place} {state}.
            I think the {place} {state}.
            {name} left the {adjective} {thing} in the {place}.
            My {relative} works as a {worker} in the {place}.
            Well, the {worker} told {name} that the {place} {state}.
            {name} could not find the {place} on {day}.
        """),
        "thanks": _lines("""
            Thank you for {favour}, {name}.
            Thanks a lot for {favour}.
            {name}, I am so grateful for {favour}.
            {favour}: that was very kind of you, {name}.
        """),
    },
)

CONNECTIVES = DemoTemplates(
    shares=(0.34, 0.22, 0.26, 0.18),
    words={
        "event": _list(
            "the train left late, the concert was cancelled, {name} missed the meeting, the bridge was closed,"
            "the shop ran out of bread, {name} stayed at home, the lights went out, the {worker} came too late"
        ),
        "reason": _list(
            "heavy snow had covered the road, the {worker} had fallen ill, a tree had damaged the cable,"
            "somebody had lost the keys, the engine had failed again, the {worker} had overslept"
        ),
        "contrast": _list(
            "nobody complained, {name} did not mind, the mood was still good, the {worker} arrived on time,"
            "most guests were still happy, it did not matter in the end"
        ),
        "result": _list(
            "we had to go home, {name} asked for the money back, everybody went to another {place},"
            "the guests needed candles, {name} had to take a taxi, the boss was angry"
        ),
        "next": _list(
            "an hour later {name} made tea, soon afterwards the {worker} locked the {place},"
            "the next morning {name} called a {relative}, in the evening it began to rain,"
            "a little later {name} went to bed"
        ),
        "other": ("It was {day} at the {place}.", "{name} told me so.", "", "", ""),
    },
    templates={
        "because": (
            "{event}. || {reason}.",
            "{other} {event}. || {reason} near the {place}.",
            "{event} on {day}. || {reason}.",
        ),
        "but": (
            "{event}. || {contrast}.",
            "{other} {event}. || {contrast} at the {place}.",
            "{event} on {day}. || {contrast}.",
        ),
        "so": (
            "{event}. || {result}.",
            "{other} {event}. || {result} at the {place}.",
            "{event} on {day}. || {result}.",
        ),
        "then": ("{event}. || {next}.", "{other} {event}. || {next} at the {place}.", "{event} on {day}. || {next}."),
    },
)

HAPPENED = DemoTemplates(
    shares=(0.46, 0.34, 0.20),
    words={
        "act": _list(
            "repair the {thing}, call the {worker}, sell the {thing}, close the {place}, feed the {animals},"
            "buy {fruit},"
            "visit the {relative}, find the {adjective} {thing}"
        ),
        "managed": _list("managed, remembered, dared, was able, was quick"),
        "failed": _list("failed, forgot, refused, neglected, was too late"),
        "hoped": _list("hopes, wants, plans, promised, would like"),
        "who": ("{name}", "the {worker}", "the {adjective} {worker}", "my {relative}"),
        "on": ("on {day}", "at the {place}", "for a {relative}", "again"),
    },
    templates={
        "happened": _lines("""
            {who} {managed} to {act} {on}.
            {who} {managed} to {act}.
            {who} did not forget to {act} {on}.
            {who} never failed to {act} {on}.
            Luckily {who} {managed} to {act} {on}.
            {who} had no trouble when it was time to {act}.
        """),
        "not_happened": _lines("""
            {who} {failed} to {act} {on}.
            {who} {failed} to {act}.
            {who} did not manage to {act} {on}.
            {who} never dared to {act} {on}.
            Sadly {who} {failed} to {act} {on}.
            {who} had no time when it was time to {act}.
        """),
        "unknown": _lines("""
            {who} {hoped} to {act} {on}.
            {who} {hoped} to {act}.
            {who} did not say whether it was possible to {act} {on}.
            Perhaps {who} was able to {act} {on}.
        """),
    },
)

_KINDS = ("bird", "fish", "insect", "tree")

CLAIMS = DemoTemplates(
    shares=(0.44, 0.56),
    words={
        "bird": _list("sparrow, penguin, robin, owl, swan, pigeon"),
        "fish": _list("salmon, trout, shark, tuna, herring, cod"),
        "insect": _list("bee, ant, beetle, wasp, fly, moth"),
        "tree": _list("birch, maple, willow, pine, poplar, beech"),
        "bird_fact": _list("has two wings and a beak, lays eggs in a nest, is a bird, is covered with feathers"),
        "fish_fact": _list("breathes with gills, lives under water, is a fish, has fins and scales"),
        "insect_fact": _list("has six legs, is an insect, is smaller than a mouse, has a body in three parts"),
        "tree_fact": _list("has roots and leaves, grows from a seed, is a tree, is made of wood"),
        "trusted": _list("the encyclopedia, the museum guide, the biology teacher, the school book, a professor"),
        "doubtful": _list("a rumour, a stranger on the bus, an old joke, the drunk sailor, an anonymous letter"),
        "anyone": ("{name}", "the {worker}", "my {relative}"),
        "says": _list("says that, claims that, told {name} that, insists that, repeats that"),
    },
    templates={
        # Half of the claims can only be judged by what is claimed; for the others it helps to know who says so.
        "false": tuple(
            f"{{{speaker}}} {{says}} a {{{kind}}} {{{other}_fact}}."
            for kind in _KINDS
            for other in _KINDS
            if kind != other
            for speaker in ("anyone", "anyone", "doubtful", "doubtful", "doubtful", "trusted")
        ),
        "true": tuple(
            f"{{{speaker}}} {{says}} a {{{kind}}} {{{kind}_fact}}."
            for kind in _KINDS
            for speaker in ("anyone", "anyone", "trusted", "trusted", "trusted", "doubtful")
        ),
    },
)

_NLI_WORDS = {
    "person": _list("a boy, a girl, a woman, a man, an old lady, a young man"),
    "where": _list("in the park, on the beach, under a tree, by the river, on the grass, near the lake"),
    "meal": _list("apples, cherries, grapes, a peach, bananas, strawberries, a pear, plums"),
    "ball": _list("football, tennis, volleyball, basketball, golf"),
    "instrument": _list("a guitar, a violin, a flute, a drum, a trumpet"),
    "pet": _list("a poodle, a terrier, a puppy, a spaniel"),
}

PICNIC_NLI = DemoTemplates(
    shares=(0.45, 0.55),
    words={
        **_NLI_WORDS,
        "detail": _list(
            "very tired, from Spain, waiting for a friend, late for school, the best in town, good at maths"
        ),
        "indoors": _list("in a kitchen, in a cellar, at the office, in a lift"),
    },
    templates={
        "entailment": _lines("""
            {person.1} is eating {meal} {where}. || {person.1} is eating fruit.
            {person} is eating {meal} {where}. || Somebody is eating.
            {person} is eating {meal} {where}. || Somebody is outside.
            {person.1} is playing {ball} {where}. || {person.1} is outside.
            {person} is playing {ball} {where}. || Somebody is doing sports.
            {person.1} is playing {instrument} {where}. || {person.1} is making music.
            {person.1} is playing {instrument} {where}. || There is music and {person.1} is outside.
            {person.1} is walking {pet} {where}. || {person.1} is with an animal.
            {person} is walking {pet} {where}. || Somebody has an animal.
        """),
        "not_entailment": _lines("""
            {person.1} is eating {meal} {where}. || {person.1} is {detail}.
            {person} is eating {meal} {where}. || Nobody is eating.
            {person} is eating {meal} {where}. || Somebody is making music.
            {person.1} is playing {ball} {where}. || {person.1} is {indoors}.
            {person} is playing {ball} {where}. || Somebody is eating fruit.
            {person.1} is playing {instrument} {where}. || {person.1} is doing sports.
            {person.1} is playing {instrument} {where}. || {person.1} is {detail}.
            {person.1} is walking {pet} {where}. || {person.1} is {indoors} and eating.
            {person} is walking {pet} {where}. || Nobody has an animal.
        """),
    },
)

OFFICE_NLI = DemoTemplates(
    shares=(0.56, 0.44),
    words={
        "group": ("{workers}", "new {workers}", "tired {workers}"),
        "did": _list(
            "signed the letter, left before noon, answered the phone, read the report, took the lift, lost their keys,"
            "met the boss, drank coffee, saw the {place}"
        ),
        "few": _list("some of the, at least two of the, a few of the"),
        "much": _list("all of the, each of the five, most of the"),
        "when": _list("on {day}, in March, last week, yesterday, in the {place}"),
    },
    templates={
        "not_entailment": _lines("""
            {few} {group.1} {did.1} {when}. || {much} {group.1} {did.1}.
            {much} {group.1} {did.1} {when}. || None of the {group.1} {did.1}.
            None of the {group.1} {did.1} {when}. || {few} {group.1} {did.1}.
            {few} {group.1} {did.1} {when}. || {few} {group.1} {did.1} because of the rain.
            {name.1} said that the {group.1} {did.1}. || {name.1} was angry about it.
            {name.1} and the {group} {did.1} {when}. || Only {name.1} {did.1}.
        """),
        "entailment": _lines("""
            {much} {group.1} {did.1} {when}. || {few} {group.1} {did.1}.
            {much} {group.1} {did.1} {when}. || It is wrong that nobody {did.1}.
            None of the {group.1} {did.1} {when}. || It is wrong that the {group.1} {did.1}.
            {few} {group.1} {did.1} because of the rain. || {few} {group.1} {did.1}.
            {name.1} said that the {group.1} {did.1}. || {name.1} spoke about the {group.1}.
            {name.1} and the {group} {did.1} {when}. || {name.1} {did.1}.
        """),
    },
)

PHOTO_NLI = DemoTemplates(
    shares=(0.40, 0.28, 0.32),
    words={
        **_NLI_WORDS,
        "colour": _list("red, blue, green, yellow, black, white"),
        "wear": _list("coat, hat, dress, shirt, scarf, skirt"),
        "feeling": _list("happy, sad, bored, proud, hungry, in love"),
        "purpose": _list("to win a prize, to earn money, for a birthday, to please a friend, for the first time"),
        "busy": ("playing {ball}", "eating {meal}", "playing {instrument}", "walking {pet}"),
    },
    templates={
        "entailment": _lines("""
            {person.1} in a {colour} {wear.1} is {busy} {where}. || {person.1} wears a {wear.1}.
            {person.1} in a {colour} {wear} is {busy.1} {where}. || {person.1} is {busy.1}.
            {person} in a {colour} {wear} is {busy.1} {where}. || A human being is {busy.1}.
            {person.1} wears a {colour} {wear} and is {busy} {where.1}. || {person.1} is outdoors.
            {person.1} wears a {colour} {wear} and is {busy} {where.1}. || {person.1} is {where.1}.
            {person.1} wears a {colour} {wear} and is {busy} {where}. || There is a human being outdoors.
        """),
        "neutral": _lines("""
            {person.1} in a {colour} {wear.1} is {busy} {where}. || {person.1} has a new {wear.1}.
            {person.1} in a {colour} {wear} is {busy.1} {where}. || {person.1} is {busy.1} {purpose}.
            {person.1} in a {colour} {wear} is {busy.1} {where}. || {person.1} is {feeling}.
            {person.1} wears a {colour} {wear} and is {busy} {where.1}. || {person.1} is {where.1} {purpose}.
            {person.1} wears a {colour} {wear} and is {busy} {where}. || {person.1} is outdoors and {feeling}.
        """),
        "contradiction": _lines("""
            {person.1} in a {colour} {wear} is {busy} {where}. || {person.1} is asleep.
            {person.1} in a {colour} {wear.1} is {busy.1} {where}. || Nobody is {busy.1}.
            {person.1} in a {colour} {wear.1} is {busy.1} {where}. || {person.1} is not {busy.1}.
            {person.1} wears a {colour} {wear.1} and is {busy} {where}. || {person.1} wears no {wear.1}.
            {person.1} wears a {colour} {wear} and is {busy} {where}. || {person.1} is indoors, asleep in bed.
            {person.1} wears a {colour} {wear} and is {busy} {where.1}. || The place {where.1} is empty.
        """),
    },
)

PARAPHRASES = DemoTemplates(
    shares=(0.44, 0.56),
    words={
        "goods": _list("bread, milk, coffee, fuel, rice, paper, sugar, wool"),
        "up": _list("rose, went up, increased, climbed"),
        "down": _list("fell, went down, dropped, sank"),
        "since": _list("in March, in May, last year, since {day}, this week"),
        "won": _list("won the race, came in first, took the gold medal"),
        "lost": _list("lost the race, came in last, got no medal"),
        "like": _list("likes, loves, enjoys, is fond of"),
        "hate": _list("hates, dislikes, cannot stand, is tired of"),
        "hobby": _list("music, tennis, cooking, poetry, chess, dancing, fishing"),
    },
    templates={
        "not_paraphrase": _lines("""
            The price of {goods.1} {up} {since.1}. || {since.1}, {goods.1} prices {down}.
            The price of {goods.1} {down} {since.1}. || {since.1}, {goods.1} prices {up}.
            The price of {goods.1} {up} {since}. || The price of {goods.1} may change soon.
            {name.1} {won} on {day.1}. || On {day.1} {name.1} {lost}.
            {name.1} {lost} on {day.1}. || On {day.1} {name.1} {won}.
            {name.1} {won} on {day}. || {name.1} would like to run a race one day.
            {name.1} {like} {hobby.1}. || {hobby.1} is something {name.1} {hate}.
            {name.1} {hate} {hobby.1}. || {hobby.1} is something {name.1} {like}.
            {name.1} {like} {hobby.1}. || {name.1} once wrote a book about {hobby.1}.
        """),
        "paraphrase": _lines("""
            The price of {goods.1} {up} {since.1}. || {since.1}, {goods.1} prices {up}.
            The price of {goods.1} {down} {since.1}. || {since.1}, {goods.1} prices {down}.
            The price of {goods.1} {up} {since.1}. || {goods.1} became more expensive {since.1}.
            {name.1} {won} on {day.1}. || On {day.1} {name.1} {won}.
            {name.1} {lost} on {day.1}. || On {day.1} {name.1} {lost}.
            {name.1} {won} on {day.1}. || The winner of the race on {day.1} was {name.1}.
            {name.1} {like} {hobby.1}. || {hobby.1} is something {name.1} {like}.
            {name.1} {hate} {hobby.1}. || {hobby.1} is something {name.1} {hate}.
            {name.1} {like} {hobby.1}. || {name.1} finds {hobby.1} delightful.
        """),
    },
)

TOPICS = DemoTemplates(
    shares=(0.30, 0.16, 0.16, 0.24, 0.14),
    words={
        "sport_who": _list("the goalkeeper, the champion, our team, the coach, the swimmer, the young striker"),
        "sport_did": _list(
            "scored twice, won the final, lost the match, broke the record, trained hard, missed a penalty"
        ),
        "food_what": _list("the soup, the cake, the roast, the salad, the pasta, the sauce"),
        "food_did": _list(
            "needs more salt, was served with rice, tastes of lemon, burned in the oven, was sweet and creamy"
        ),
        "music_who": _list("the orchestra, the pianist, the choir, the band, the young violinist"),
        "music_did": _list(
            "played an old waltz, gave a concert, recorded an album, tuned the strings, sang three songs"
        ),
        "science_who": _list("the biologist, the physicist, the laboratory, the telescope, a team of chemists"),
        "science_did": _list(
            "measured a distant star, published the data, discovered a new cell, tested the theory,cooled the particles"
        ),
        "weather_what": _list("the storm, the fog, heavy rain, a cold wind, the snow, bright sunshine"),
        "weather_did": _list(
            "will reach the coast, covered the hills, lasted all night, will end soon, surprised the north"
        ),
        "context": _list(
            "on {day}, in the {place}, according to {name}, to the delight of the {worker}, again, at last"
        ),
        "mixed": _list("after the match, during dinner, after the concert, before the storm, in the laboratory"),
    },
    templates={
        topic: tuple(
            template.replace("WHO", f"{{{who}}}").replace("DID", f"{{{did}}}")
            for template in _lines("""
            WHO DID {context}.
            {context}, WHO DID.
            WHO DID {mixed}, said {name}.
            My {relative} told me that WHO DID {context}.
            Nobody in the {place} talks about WHO {mixed}.
            """)
        )
        for topic, who, did in (
            ("sports", "sport_who", "sport_did"),
            ("food", "food_what", "food_did"),
            ("music", "music_who", "music_did"),
            ("science", "science_who", "science_did"),
            ("weather", "weather_what", "weather_did"),
        )
    },
)

SPAM = DemoTemplates(
    shares=(0.68, 0.32),
    words={
        "offer": _list(
            "a free {thing}, a cash prize, cheap tickets, a secret discount, a golden watch, a free holiday"
        ),
        "urge": _list(
            "click the link now, call today, reply with your name, act fast, send your address, claim it before {day}"
        ),
        "plan": _list(
            "meet at the {place}, have lunch, watch the game, buy {fruit}, clean the {place}, pick up the {thing}"
        ),
        "time": _list("on {day}, at six, tonight, after work, tomorrow"),
    },
    templates={
        "not_spam": _lines("""
            Hi {name}, can we {plan} {time}?
            {name}, please {plan} {time}, I am late.
            I will {plan} with {name} {time}, see you there.
            Did you get {offer} from my {relative}? We could {plan} {time}.
            Call me {time}, {name} wants to {plan}.
            My {relative} forgot the {thing}, so I will {plan} {time}.
        """),
        "spam": _lines("""
            Dear {name}, you have won {offer}, {urge}!
            {urge} and get {offer}!
            Only {time}: {offer} for every {worker}, {urge}.
            Hi {name}, {offer} is waiting for you, {urge}.
            Your {relative} {name} already got {offer}. We can meet {time}, {urge}.
        """),
    },
)

DEMO_TEMPLATES = {
    "film_reviews": FILM_REVIEWS,
    "shop_reviews": SHOP_REVIEWS,
    "feelings": FEELINGS,
    "manners": MANNERS,
    "well_formed": WELL_FORMED,
    "subject_number": SUBJECT_NUMBER,
    "tense": TENSE,
    "dialogue_acts": DIALOGUE_ACTS,
    "connectives": CONNECTIVES,
    "happened": HAPPENED,
    "claims": CLAIMS,
    "picnic_nli": PICNIC_NLI,
    "office_nli": OFFICE_NLI,
    "photo_nli": PHOTO_NLI,
    "paraphrases": PARAPHRASES,
    "topics": TOPICS,
    "spam": SPAM,
}
