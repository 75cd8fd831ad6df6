"""Short scenes that questions can be asked about: what reading is practised and measured on.

A plot is told with a cast drawn for it, so no two tellings share their names, places and things. In a question, the
answer's slot decides what competes with it: a slot's first letter is its kind (a b c are people). Names are of the
split, and each split has plots of its own besides the shared ones; those of training are in tinyworld_scenes.py.
"""

import functools
import random
import re
from typing import NamedTuple

from nanochat.tinyworld import (COLOURS, DAYS, FLOWERS, FOODS, GOODS, HOBBIES, JOBS, MONTHS, PETS, PLACES,
                                QUANTITIES, WEATHER, capital, cast_people, expand, made_name, say, split_of,
                                table_of_pairs)
from nanochat.tinyworld_scenes import SCENES, TRAITS

POOLS = {"c": COLOURS, "p": PLACES, "t": GOODS, "f": FOODS, "k": PETS, "j": JOBS, "l": FLOWERS, "q": QUANTITIES,
         "d": DAYS, "m": MONTHS, "h": HOBBIES}


class Plot(NamedTuple):
    scene: tuple[str, ...]
    asks: tuple[tuple[str, str, str], ...]   # question, slot that answers it, answer in a sentence


def cast(rng: random.Random, split: str, who: dict[str, str] | None = None) -> dict[str, str]:
    """Everything that a plot's slots may ask for: people a b c, three of each kind of thing, names n1 n2, weather w."""
    slots = {"n1": made_name(rng, split), "n2": made_name(rng, split), "w": rng.choice(WEATHER)}
    for key, pool in POOLS.items():
        slots[key + "1"], slots[key + "2"], slots[key + "3"] = rng.sample(pool, 3)
    return slots | (who or cast_people(rng, split))


PLOTS = (
    Plot(("[On {d1}|Last {d1}|One {d1}] {a} and {b} went to the {p1}.",
          "{a} [bought|got|paid for] a {c1} {t1}[.| and was very pleased.]",
          "{b} [bought|chose|found] a {c2} {t2}.",
          "[Then|Afterwards|Before they went home,] they ate some {f1} together."),
         (("[Who|Which person] [bought|got|has] the {t1}?", "a", "{a} bought the {t1}."),
          ("[Who|Which person] [chose|has|took home] the {t2}?", "b", "{b} has the {t2}."),
          ("What [did {a} buy|did {a} get|does {a} have now]?", "t1", "{a} bought a {t1}."),
          ("[What|Which] colour [is|was] the {t1}?", "c1", "The {t1} was {c1}."),
          ("[What|Which] colour [is|was] the {t2}?", "c2", "The {t2} was {c2}."),
          ("What did [they|the two] eat[| together]?", "f1", "They ate some {f1}."),
          ("Where [did they go|did {a} and {b} go|were they]?", "p1", "They went to the {p1}."),
          ("[On which day|When|What day] did they go [out|there]?", "d1", "They went on {d1}."))),
    Plot(("{a} [lost|could not find|was missing] {his} {t1}.", "{He} looked at the {p1}, but it was not there.",
          "[In the evening|After a while|The next morning] {b} found it at the {p2}.",
          "{a} was [so glad|so happy|so relieved] that {he} gave {b} some {f1}."),
         (("Who found [the {t1}|it][| in the end]?", "b", "{b} found the {t1}."),
          ("Who [lost|was missing|could not find] the {t1}?", "a", "{a} lost the {t1}."),
          ("What [did {a} lose|was lost|was {a} looking for]?", "t1", "{a} lost a {t1}."),
          ("Where [did {b} find it|was the {t1}]?", "p2", "It was at the {p2}."),
          ("What did {b} get[| as a thank you]?", "f1", "{b} got some {f1}."),
          ("Where did {a} look[| first]?", "p1", "{a} looked at the {p1}."))),
    Plot(("{b} had a birthday on {d1}.", "{a} gave {him2} a {c1} {t1}.",
          "{c} [gave {him2}|came with|brought] a {c2} {t2}.",
          "[They all|The guests] ate {f1} and [sang|danced|laughed] until late."),
         (("[Who had a birthday|Whose birthday was it]?", "b", "{b} had a birthday."),
          ("Who gave {b} [the|a] {t1}?", "a", "{a} gave {b} the {t1}."),
          ("Who [brought|came with] the {t2}?", "c", "{c} brought the {t2}."),
          ("What did {a} give[| to] {b}?", "t1", "{a} gave {b} a {t1}."),
          ("[What|Which] colour was the {t2}?", "c2", "The {t2} was {c2}."),
          ("[On which day|When|What day] was the birthday?", "d1", "The birthday was on {d1}."),
          ("What did [they|the guests|everybody] eat?", "f1", "They ate {f1}."))),
    Plot(("{a} has a {k1} called {n1}.", "{b} has a {k2} called {n2}.",
          "{n1} likes to [sleep|lie|rest] near the {p1}.", "{n2} [loves|likes to eat|always wants] {f1}."),
         (("Who [has|owns] [a|the] {k1}?", "a", "{a} has a {k1}."),
          ("Who [has|owns] [a|the] {k2}?", "b", "{b} has a {k2}."),
          ("What is the name of the {k1}?", "n1", "The {k1} is called {n1}."),
          ("What is [{b}'s {k2}|the {k2}] called?", "n2", "The {k2} is called {n2}."),
          ("What [pet|animal] does {a} have?", "k1", "{a} has a {k1}."),
          ("Which animal is {n2}?", "k2", "{n2} is a {k2}."),
          ("What does {n2} [eat|love|want]?", "f1", "{n2} loves {f1}."),
          ("Where does {n1} [like to sleep|sleep|rest]?", "p1", "{n1} sleeps near the {p1}."))),
    Plot(("{a} planted {l1} in the garden.", "{b} [helped|came to help] and planted some {l2}.",
          "[In {m1}|One morning in {m1}] the {l1} were {c1} and the {l2} were {c2}.",
          "The two friends [looked at them|sat down beside them] and ate {f1}."),
         (("Who planted [the|some] {l1}?", "a", "{a} planted the {l1}."),
          ("Who planted [the|some] {l2}?", "b", "{b} planted the {l2}."),
          ("[What|Which flowers] did {a} plant?", "l1", "{a} planted {l1}."),
          ("[What|Which flowers] did {b} plant?", "l2", "{b} planted {l2}."),
          ("[What|Which] colour were the {l1}?", "c1", "The {l1} were {c1}."),
          ("[In which month were they|When were the flowers|When were they] in bloom?", "m1", "It was in {m1}."),
          ("What did the friends eat?", "f1", "They ate {f1}."))),
    Plot(("{a} is a {j1}.", "{b}, {his} [best friend|neighbour|cousin], is a {j2}.", "They both live near the {p1}.",
          "Every {d1} they [meet for {h1}|meet and talk about {h1}][.| and drink tea.]"),
         (("Who is [the|a] {j1}?", "a", "{a} is the {j1}."), ("Who is [the|a] {j2}?", "b", "{b} is the {j2}."),
          ("What [is {a}'s job|does {a} do for work|is the job of {a}]?", "j1", "{a} is a {j1}."),
          ("What [is {b}'s job|does {b} do for work]?", "j2", "{b} is a {j2}."),
          ("Where do they [both |]live?", "p1", "They live near the {p1}."),
          ("[On which day|When|How often] do they meet?", "d1", "They meet every {d1}."),
          ("What do they [talk about|meet for]?", "h1", "It is {h1}."))),
    Plot(("{a} walked from the {p1} to the {p2}.", "It was {w} that day.",
          "On the way {he} met {b}, who [carried|was carrying|had] a {c1} {t1}.",
          "They [talked|spoke|had a long talk] about {h1}."),
         (("Who [carried|had|was carrying] [the|a] {t1}?", "b", "{b} had the {t1}."),
          ("[Whom|Who] did {a} meet[| on the way]?", "b", "{a} met {b}."),
          ("Where did {a} [start|come from]?", "p1", "{a} started at the {p1}."),
          ("Where did {a} [walk to|go]?", "p2", "{a} walked to the {p2}."),
          ("What [did {b} carry|was {b} carrying]?", "t1", "{b} carried a {t1}."),
          ("[What|Which] colour was the {t1}?", "c1", "The {t1} was {c1}."),
          ("[What was the weather like|How was the weather]?", "w", "It was {w}."),
          ("What did they talk about?", "h1", "They talked about {h1}."))),
    Plot(("{a} hid a {t1} behind the {p1}.", "{b} hid a {t2} behind the {p2}.",
          "{c} searched [all day|for hours|all morning] and found only the {c1} {t1}.",
          "[As a prize|For that] {he} gave {c} some {f1}."),
         (("Who hid the {t2}?", "b", "{b} hid the {t2}."), ("Who found the {t1}?", "c", "{c} found the {t1}."),
          ("Who hid the {t1}?", "a", "{a} hid the {t1}."),
          ("Where was the {t1}[| hidden]?", "p1", "The {t1} was behind the {p1}."),
          ("Where is the {t2} [hidden|now]?", "p2", "The {t2} is behind the {p2}."),
          ("What did {c} find?", "t1", "{c} found the {t1}."),
          ("What [was the prize|did {c} get]?", "f1", "The prize was some {f1}."))),
    Plot(("{a} cooked {f1} for dinner.", "{b} [made|brought|prepared] {f2}.",
          "{c} forgot the dessert, so [{c} brought|the only thing from {c} was] a {c1} {t1}.",
          "They [ate|had dinner] at the {p1} because it was {w}."),
         (("Who [cooked|made] the {f1}?", "a", "{a} cooked the {f1}."),
          ("Who [made|brought] the {f2}?", "b", "{b} made the {f2}."), ("What did {a} cook?", "f1", "{a} cooked {f1}."),
          ("Who forgot the dessert?", "c", "{c} forgot the dessert."),
          ("What did {c} bring?", "t1", "{c} brought a {t1}."),
          ("What [came from {b}|did {b} make]?", "f2", "{b} made {f2}."),
          ("Where did they eat?", "p1", "They ate at the {p1}."))),
    Plot(("{a}, {b} and {c} ran a race to the {p1}.", "{b} came first and {c} came second.",
          "{a} was last because {he} [dropped|had to carry|fell over] a {t1}.",
          "The prize was a {c1} {t2}[.| and everybody cheered.]"),
         (("Who [won|came first|won the race|was first]?", "b", "{b} came first."),
          ("Who [was|came] last?", "a", "{a} was last."), ("Who [came|was] second?", "c", "{c} came second."),
          ("What was the prize?", "t2", "The prize was a {t2}."),
          ("Where did they run?", "p1", "They ran to the {p1}."),
          ("[What|Which] colour was the prize?", "c1", "The prize was {c1}."))),
    Plot(("{a} sells {f1} at the {p1}.", "One {f2} cake costs {q1} coins there.",
          "{b} came on a {w} {d1} and bought {q2} of them.", "{He} also gave {b} a {t1} for the children."),
         (("Who sells [the |]{f1}?", "a", "{a} sells {f1}."),
          ("[Who bought the cakes|Who came to buy]?", "b", "{b} bought the cakes."),
          ("How many [coins does a cake cost|coins is a cake]?", "q1", "A cake costs {q1} coins."),
          ("How many [cakes did {b} buy|did {b} buy|cakes were bought]?", "q2", "{b} bought {q2}."),
          ("What does {a} sell?", "f1", "{a} sells {f1}."),
          ("[On which day|When] did {b} come?", "d1", "{b} came on a {d1}."),
          ("What did {a} give[| to] {b}?", "t1", "{a} gave {b} a {t1}."))),
    Plot(("The {c1} house belongs to {a}, and the {c2} house belongs to {b}.",
          "Behind the {c1} house there are {q1} {l1}.", "A {k1} called {n1} lives in the {c2} house.",
          "From both houses one can see the {p1}."),
         (("[Whose is|Who lives in|Who owns] the {c1} house?", "a", "It belongs to {a}."),
          ("[Whose is|Who lives in|Who owns] the {c2} house?", "b", "It belongs to {b}."),
          ("[What|Which] colour is {a}'s house?", "c1", "{a}'s house is {c1}."),
          ("[What|Which] colour is the house of {b}?", "c2", "{b}'s house is {c2}."),
          ("How many {l1} are there?", "q1", "There are {q1} {l1}."),
          ("What is the {k1} called?", "n1", "The {k1} is called {n1}."),
          ("What can one see from [both|the] houses?", "p1", "One can see the {p1}."))),
    Plot(("{a} [fell ill|was ill|had a cold] in {m1}.", "{b} came on {d1} with hot {f1}.",
          "{c} brought a {c1} {t1} to cheer {him} up.", "[After {q1} days|{q1} days later] {a} was well again."),
         (("Who [was ill|fell ill|had to stay in bed]?", "a", "{a} was ill."),
          ("Who [came with|brought] the {f1}?", "b", "{b} brought the {f1}."),
          ("Who brought [the|a] {t1}?", "c", "{c} brought the {t1}."), ("What did {c} bring?", "t1",
                                                                       "{c} brought a {t1}."),
          ("[In which month|When] was {a} ill?", "m1", "It was in {m1}."),
          ("[On which day|When] did {b} come?", "d1", "{b} came on {d1}."),
          ("[After how many|How many] days [was {a} well again|did it take]?", "q1", "It took {q1} days."))),
    Plot(("{a} teaches in a small house near the {p1}.", "There are {q1} children in the class.",
          "{b} sits at the window and {c} sits at the door.", "{b} is best at {h1}, and {c} is best at {h2}."),
         (("Who is the teacher?", "a", "{a} is the teacher."),
          ("Who sits at the window?", "b", "{b} sits at the window."),
          ("Who sits at the door?", "c", "{c} sits at the door."),
          ("How many children are [there|in the class]?", "q1", "There are {q1} children."),
          ("Who is [best|good] at {h2}?", "c", "{c} is best at {h2}."),
          ("What is {b} [best|good] at?", "h1", "{b} is best at {h1}."),
          ("Where do they learn?", "p1", "They learn near the {p1}."))),
    Plot(("A {k1} and a {k2} live on {a}'s farm.", "The {k1} is called {n1} and is {c1}.",
          "The {k2} is called {n2} and is {c2}.", "{b} comes every {d1} to feed them {f1}."),
         (("Whose farm is it?", "a", "It is {a}'s farm."), ("Who feeds [them|the animals]?", "b", "{b} feeds them."),
          ("What is the {k1} called?", "n1", "The {k1} is called {n1}."),
          ("What is the name of the {k2}?", "n2", "The {k2} is called {n2}."),
          ("[What|Which] colour is {n1}?", "c1", "{n1} is {c1}."),
          ("[What|Which] colour is the {k2}?", "c2", "The {k2} is {c2}."),
          ("Which animal is {n2}?", "k2", "{n2} is a {k2}."),
          ("What do the animals [eat|get]?", "f1", "They get {f1}."))),
    Plot(("{a} wanted to learn {h1}, so {he} asked {b}, the {j1}.",
          "They met at the {p1} every {d1}.", "After {q1} lessons {a} could do it well.",
          "[To say thank you|As a thank you], {he} gave {b} a {c1} {t1}."),
         (("Who wanted to learn {h1}?", "a", "{a} wanted to learn it."),
          ("Who [was the teacher|gave the lessons|taught {a}]?", "b", "{b} was the teacher."),
          ("What did {a} [learn|want to learn]?", "h1", "{a} learned {h1}."),
          ("What is {b}'s job?", "j1", "{b} is a {j1}."), ("Where did they meet?", "p1", "They met at the {p1}."),
          ("How many lessons [did {a} need|were there]?", "q1", "{a} needed {q1} lessons."),
          ("What did {b} get?", "t1", "{b} got a {t1}."))),
    Plot(("There was a storm on {d1}.", "It took the roof off the {p1} and broke {a}'s {c1} {t1}.",
          "{b} and {c} helped to repair everything.", "{b} brought the wood, and {c} brought {f1} for all."),
         (("[When|On which day] was the storm?", "d1", "The storm was on {d1}."),
          ("Whose {t1} [was broken|broke]?", "a", "It was {a}'s {t1}."),
          ("What [did the storm break|was broken]?", "t1", "It broke a {t1}."),
          ("Which [place|house] lost its roof?", "p1", "It was the {p1}."),
          ("Who brought the wood?", "b", "{b} brought the wood."),
          ("Who brought the {f1}?", "c", "{c} brought the {f1}."),
          ("[What|Which] colour was the {t1}?", "c1", "The {t1} was {c1}."))),
    Plot(("{a} and {b} took the train from {n1} to {n2}.", "They had {q1} bags and a {k1} with them.",
          "{a} read about {h1}, and {b} ate {f1}.", "They arrived on {d1} in {w} weather."),
         (("Where did the train [start|come from]?", "n1", "It came from {n1}."),
          ("Where did [the train|they] go?", "n2", "They went to {n2}."),
          ("How many bags did they have?", "q1", "They had {q1} bags."),
          ("Which animal was with them?", "k1", "A {k1} was with them."),
          ("Who [ate|had] the {f1}?", "b", "{b} ate the {f1}."), ("Who was reading?", "a", "{a} was reading."),
          ("[When|On which day] did they arrive?", "d1", "They arrived on {d1}."))),
    Plot(("{a} painted a picture of {b}'s {k1}.", "In the picture, the {k1} wears a {c1} {t1} and eats {f1}.",
          "The {p1} bought the picture for {q1} coins.", "Now {c} looks at it every {d1}."),
         (("Who painted the picture?", "a", "{a} painted it."),
          ("Whose {k1} [is it|is in the picture]?", "b", "It is {b}'s {k1}."),
          ("Who looks at [it|the picture]?", "c", "{c} looks at it."),
          ("Which animal is in the picture?", "k1", "It is a {k1}."),
          ("[What|Which] colour is the {t1}?", "c1", "The {t1} is {c1}."),
          ("[How much|How many coins] was the picture?", "q1", "It was {q1} coins."),
          ("Where is the picture now?", "p1", "It is at the {p1}."))),
    Plot(("{a} and {b} are twins, and they are {q1} years old.", "{a} likes {h1}, but {b} likes {h2} more.",
          "{a} always wears {c1}, and {b} always wears {c2}.", "[Their aunt|Their uncle] {c} is a {j1}."),
         (("How old are [they|the twins|{a} and {b}]?", "q1", "They are {q1} years old."),
          ("Who likes {h1}?", "a", "{a} likes {h1}."), ("Who likes {h2}?", "b", "{b} likes {h2}."),
          ("What does {b} like?", "h2", "{b} likes {h2}."), ("[What|Which] colour does {a} wear?", "c1",
                                                            "{a} wears {c1}."),
          ("Who wears {c2}?", "b", "{b} wears {c2}."), ("Who is the {j1}?", "c", "{c} is the {j1}."))),
    Plot(("A letter came for {a} on {d1}.", "It was from {b}, who lives in {n1} now.",
          "{b} has become a {j1} and has a {k1} called {n2}.", "{a} read the letter at the {p1} and smiled."),
         (("Who got [a|the] letter?", "a", "{a} got the letter."),
          ("Who [wrote|sent] the letter?", "b", "{b} wrote the letter."),
          ("Where does {b} live[| now]?", "n1", "{b} lives in {n1}."),
          ("What is {b}'s job[| now]?", "j1", "{b} is a {j1}."),
          ("What is the {k1} called?", "n2", "The {k1} is called {n2}."),
          ("Where did {a} read [it|the letter]?", "p1", "{a} read it at the {p1}."),
          ("[When|On which day] did the letter come?", "d1", "It came on {d1}."))),
    Plot(("{a} [keeps|has] {q1} hens and {q2} goats near the {p1}.", "{b} buys the eggs every {d1}.",
          "Last week {b} paid with a {c1} {t1}.", "{c} only wants the milk, to make {f1}."),
         (("How many hens [does {a} have|are there]?", "q1", "There are {q1} hens."),
          ("How many goats [does {a} have|are there]?", "q2", "There are {q2} goats."),
          ("Who buys the eggs?", "b", "{b} buys the eggs."), ("Who wants the milk?", "c", "{c} wants the milk."),
          ("Who [keeps|has] the [hens|goats]?", "a", "{a} has them."),
          ("What [did {b} pay with|was the price]?", "t1", "{b} paid with a {t1}."),
          ("What does {c} make?", "f1", "{c} makes {f1}."))),
    Plot(("The children put on a play at the {p1}.", "{a} was the king, {b} was the {k1}, and {c} was the {j1}.",
          "The king wore a {c1} {t1}.", "{q1} people came to see it on {d1}."),
         (("Who was the king?", "a", "{a} was the king."), ("Who was the {k1}?", "b", "{b} was the {k1}."),
          ("Who [was|played] the {j1}?", "c", "{c} was the {j1}."),
          ("What did the king wear?", "t1", "The king wore a {t1}."),
          ("[What|Which] colour was the {t1}?", "c1", "The {t1} was {c1}."),
          ("How many people came[| to see it]?", "q1", "{q1} people came."),
          ("Where was the play?", "p1", "It was at the {p1}."))),
    Plot(("{a} gets up at {q1} o'clock every morning.", "{He} eats {f1} and walks {his} {k1} to the {p1}.",
          "There {he} meets {b}, who gets up at {q2} o'clock.", "On {d1} they both stay in bed."),
         (("When does {a} get up?", "q1", "{a} gets up at {q1} o'clock."),
          ("When does {b} get up?", "q2", "{b} gets up at {q2} o'clock."),
          ("What does {a} eat[| in the morning]?", "f1", "{a} eats {f1}."),
          ("Which animal does {a} have?", "k1", "{a} has a {k1}."),
          ("[Whom|Who] does {a} meet?", "b", "{a} meets {b}."),
          ("[When do they stay|On which day are they] in bed?", "d1", "They stay in bed on {d1}."),
          ("Where does {a} walk[| to]?", "p1", "{a} walks to the {p1}."))),
)
OWN_PLOTS = {
    "train": tuple(Plot(*scene) for scene in SCENES),
    "val": (
        Plot(("{a} painted the {t1} {c1}.", "{b} painted the {t2} {c2}.", "They worked from morning until evening.",
              "On {d1} the paint was dry."),
             (("Who painted the {t1}?", "a", "{a} painted the {t1}."),
              ("What did {b} paint?", "t2", "{b} painted the {t2}."),
              ("What colour was the {t1}?", "c1", "The {t1} was {c1}."),
              ("When was the paint dry?", "d1", "It was dry on {d1}."))),
        Plot(("{a} told {b} about a {k1} that lived at the {p1}.", "{b} had doubts.",
              "So they went there, and {c} showed them the {k1} for a bowl of {f1}."),
             (("Who had doubts?", "b", "{b} had doubts."),
              ("Who showed them the {k1}?", "c", "{c} showed them the {k1}."),
              ("Where did the {k1} live?", "p1", "The {k1} lived at the {p1}."),
              ("What did {c} get?", "f1", "{c} got some {f1}."))),
        Plot(("On the shelf there are a {c1} {t1} and a {c2} {t2}.", "The first belongs to {a} and the second to {b}.",
              "{c} dusts them every {d1}."),
             (("Who dusts them?", "c", "{c} dusts them."), ("What colour is the {t2}?", "c2", "The {t2} is {c2}."),
              ("What belongs to {a}?", "t1", "The {t1} belongs to {a}."),
              ("On which day are they dusted?", "d1", "It is done on {d1}.")))),
    "test": (
        Plot(("{a} borrowed a {c1} {t1} from {b}.", "{He} needed it at the {p1} on {d1}.",
              "When {he} brought it back, {he} also left a bowl of {f1} as a thank you."),
             (("Who borrowed the {t1}?", "a", "{a} borrowed the {t1}."),
              ("What did {a} borrow?", "t1", "{a} borrowed a {t1}."),
              ("Where was it needed?", "p1", "It was needed at the {p1}."),
              ("What colour was the {t1}?", "c1", "The {t1} was {c1}."))),
        Plot(("{a} has a stall with {f1}.", "Next to {him}, {b} offers {f2}.",
              "Today {c} came along with a {k1} and took only {f2}."),
             (("Who has the stall with {f1}?", "a", "{a} has it."), ("What did {c} take?", "f2", "{c} took {f2}."),
              ("Which animal came along?", "k1", "It was a {k1}."),
              ("Who offers the {f2}?", "b", "{b} offers the {f2}."))),
        Plot(("{a} waited {q1} hours for {b} at the {p1}.", "{b} was late because of a {k1} on the road.",
              "They missed the music, but there was still some {f1}."),
             (("How many hours did {a} wait?", "q1", "{a} waited {q1} hours."), ("Who was late?", "b",
                                                                             "{b} was late."),
              ("Which animal was on the road?", "k1", "It was a {k1}."),
              ("Where did {a} wait?", "p1", "{a} waited at the {p1}.")))),
}


# -----------------------------------------------------------------------------
# Improvised scenes: who did what to what, from verbs that fit together anyhow. Without them a model reads the plots
# above and no others (dev/LOG.md). Each kind of object: verbs as base:past, the statement, the questions.

DEEDS = (
    ("t", table_of_pairs("""
buy:bought, lose:lost, find:found, paint:painted, break:broke, mend:mended, sell:sold, hide:hid, borrow:borrowed,
carry:carried, steal:stole, clean:cleaned, wash:washed, drop:dropped, draw:drew, want:wanted, throw:threw,
keep:kept, forget:forgot, take:took, lend:lent, miss:missed, build:built, win:won, open:opened, see:saw, make:made,
choose:chose, wrap:wrapped, measure:measured, push:pushed, hold:held, like:liked, need:needed, polish:polished,
repair:repaired, rent:rented, hang up:hung up, pick up:picked up, put away:put away, receive:received, design:designed,
fix:fixed, unpack:unpacked, rub:rubbed, admire:admired, adorn:adorned, test:tested, fetch:fetched,
get:got, lift:lifted, pull:pulled, touch:touched, kick:kicked, discover:discovered, bury:buried, notice:noticed,
own:owned, use:used, shake:shook, show:showed, destroy:destroyed, return:returned, leave behind:left
behind, look at:looked at, ask for:asked for, pay for:paid for, dream of:dreamed of, trip over:tripped over, sit on:sat
on, wait for:waited for, get rid of:got rid of, sketch:sketched, swap:swapped, guard:guarded, claim:claimed"""),
     "{x} {past} a {c} {y}[.|.| at the {p}.| on {d}.| near the {p}.]",
     (("[Who|Which person|Say who|So who] {past} [a|the] {y}?", "x", "{x} {past} the {y}."),
      ("[What did {x} {base}|What was it that {x} {past}|Which thing did {x} {base}]?", "y", "{x} {past} a {y}."),
      ("[What|Which] colour [was the {y}|did the {y} have]?", "c", "The {y} was {c}."))),
    ("f", table_of_pairs("""
eat:ate, cook:cooked, bring:brought, share:shared, taste:tasted, smell:smelled, burn:burned, pack:packed,
order:ordered, sell:sold, serve:served, try:tried, hate:hated, love:loved, steal:stole, offer:offered, warm:warmed,
bake:baked, buy:bought, fry:fried, boil:boiled, chew:chewed, mix:mixed, prepare:prepared, refuse:refused,
enjoy:enjoyed, drop:dropped, finish:finished, swallow:swallowed, freeze:froze, need:needed, want:wanted, get:got,
save:saved, fetch:fetched, hand out:handed out, give away:gave away, spoil:spoiled, ask for:asked for, pay for:paid for,
choose:chose, leave:left, find:found, spill:spilled, carry home:carried home, throw away:threw away, like:liked"""),
     "{x} {past} [some |the |]{y}[.|.| at noon.| in the morning.| on {d}.]",
     (("[Who|Which person|Say who|So who] {past} [the |]{y}?", "x", "{x} {past} the {y}."),
      ("[What did {x} {base}|What was it that {x} {past}|Which food did {x} {base}]?", "y", "{x} {past} {y}."))),
    ("k", table_of_pairs("""
feed:fed, see:saw, chase:chased, follow:followed, draw:drew, catch:caught, hear:heard, love:loved, wash:washed,
call:called, stroke:stroked, fear:feared, find:found, hug:hugged, train:trained, photograph:photographed, buy:bought,
sell:sold, rescue:rescued, adopt:adopted, lose:lost, paint:painted, carry:carried, watch:watched, brush:brushed,
frighten:frightened, own:owned, meet:met, tickle:tickled, lead:led, bring:brought, save:saved, miss:missed, want:wanted,
keep:kept, hold:held, look after:looked after, run after:ran after, free:freed, tame:tamed, point at:pointed at,
like:liked, dream of:dreamed of, play with:played with, talk to:talked to, hide from:hid from, borrow:borrowed,
wake:woke"""),
     "{x} {past} a {y}[.|.| near the {p}.| on {d}.| at the {p}.]",
     (("[Who|Which person|Say who|So who] {past} [a|the] {y}?", "x", "{x} {past} the {y}."),
      ("[What did {x} {base}|Which animal did {x} {base}|Which animal was it that {x} {past}]?", "y",
      "{x} {past} a {y}."))),
    ("p", table_of_pairs("""
go to:went to, walk to:walked to, wait at:waited at, sleep at:slept at, sit at:sat at, work at:worked at, play
at:played at, sing at:sang at, run to:ran to, stop at:stopped at, live near:lived near, drive to:drove to, dance
at:danced at, read at:read at, arrive at:arrived at, hurry to:hurried to, rest at:rested at, cycle to:cycled to, swim
near:swam near, stand at:stood at, eat at:ate at, stay at:stayed at, fall asleep at:fell asleep at, travel to:travelled
to, ride to:rode to, move to:moved to, study at:studied at, play chess at:played chess at, hide behind:hid behind, camp
near:camped near, have lunch at:had lunch at, get lost near:got lost near, paint at:painted at, shop near:shopped near,
fall down near:fell down near, skate near:skated near, knit at:knitted at, cry at:cried at, sail to:sailed to, return
to:returned to, meet friends at:met friends at"""),
     "[{x} {past} the {y}.|On {d} {x} {past} the {y}.|It was {w}, and {x} {past} the {y}.]",
     (("Who {past} the {y}?", "x", "{x} {past} the {y}."),
      ("Where did {x} {go}?", "y", "{x} {past} the {y}."))),
    ("b", table_of_pairs("""
help:helped, visit:visited, call:called, follow:followed, thank:thanked, see:saw, teach:taught, meet:met,
hug:hugged, write to:wrote to, wait for:waited for, play with:played with, dance with:danced with, greet:greeted,
look for:looked for, laugh at:laughed at, sing for:sang for, cook for:cooked for, talk to:talked to, invite:invited,
phone:phoned, miss:missed, trust:trusted, know:knew, marry:married, forgive:forgave, warn:warned, watch:watched,
wake:woke, find:found, tease:teased, carry:carried, pay:paid, ask:asked, surprise:surprised, join:joined,
cheer for:cheered for, push:pushed, hear:heard, draw:drew, believe:believed, argue with:argued with,
work with:worked with, walk with:walked with, run after:ran after, live with:lived with, travel with:travelled with,
shout at:shouted at, smile at:smiled at, wave to:waved to, listen to:listened to, care for:cared for, like:liked,
save:saved"""),
     "{x} {past} {y}[.|.| on {d}.| near the {p}.| at the {p}.]",
     (("[Who|Whom|Which person] did {x} {base}?", "y", "{x} {past} {y}."),
      ("[Who|Which person|Say who|Who was it that] {past} {y}?", "x", "{x} {past} {y}."))),
    ("g", table_of_pairs("""
give:gave, lend:lent, send:sent, sell:sold, bring:brought, hand:handed, throw:threw, buy:bought, make:made,
build:built, knit:knitted, pass:passed, mail:mailed, leave:left, toss:tossed"""),
     "{x} {past} {y} a {o}[.|.| on {d}.| at the {p}.| as a present.]",
     (("What did {x} {base} {y}?", "o", "{x} {past} {y} a {o}."),
      ("[Who|Which person|Who was it that] {past} {y} [a|the] {o}?", "x", "{x} {past} {y} the {o}."),
      ("[Who got|Who was given|Who has] the {o}?", "y", "The {o} went to {y}."))),
)


STATES = (  # what is so of {x}, perhaps with another person {y}, and what can be asked about it
    ("{x} [has|keeps] {q} hens behind the house.",
     (("How many hens does {x} have?", "q", "{x} has {q} hens."), ("Who has hens?", "x", "{x} has hens."))),
    ("{x} is {q} years old[.| now.| today.]", (("How old is {x}?", "q", "{x} is {q} years old."),)),
    ("{x} walked {q} miles[.| in the rain.| before lunch.]",
     (("How many miles did {x} walk?", "q", "{x} walked {q} miles."), ("Who walked?", "x", "{x} walked."))),
    ("{x} works as a {j}.", (("What is {x}'s job?", "j", "{x} is a {j}."), ("Who is a {j}?", "x", "{x} is a {j}."))),
    ("{x} comes from {n}.",
     (("Where does {x} come from?", "n", "{x} comes from {n}."), ("Who comes from {n}?", "x", "{x} comes from {n}."))),
    ("{x} has a {k} [called|named] {n}.",
     (("What is the {k} called?", "n", "The {k} is called {n}."), ("Who has a {k}?", "x", "{x} has a {k}."),
      ("[What animal|Which animal|Which pet] does {x} have?", "k", "{x} has a {k}."))),
    ("{x} [likes|loves|enjoys] {h}.",
     (("What does {x} like?", "h", "{x} likes {h}."), ("Who likes {h}?", "x", "{x} likes {h}."))),
    ("{x} paid {q} coins for a {t}.",
     (("How much was the {t}?", "q", "The {t} was {q} coins."), ("What did {x} pay for?", "t", "{x} paid for a {t}."),
      ("How many coins did {x} pay?", "q", "{x} paid {q} coins."))),
    ("{x} grows {l} in the garden.",
     (("Which flowers does {x} grow?", "l", "{x} grows {l}."), ("Who grows {l}?", "x", "{x} grows {l}."))),
    ("{x}'s birthday is in {m}.",
     (("When is {x}'s birthday?", "m", "{x}'s birthday is in {m}."), ("Whose birthday is in {m}?", "x",
                                                                      "It is {x}'s birthday."))),
    ("{x} stayed at home on {d}.",
     (("[When|On which day] did {x} stay at home?", "d", "{x} stayed at home on {d}."),
      ("Who stayed at home?", "x", "{x} stayed at home."))),
    ("{x} is older than {y}.",
     (("Who is older?", "x", "{x} is older."), ("Who is younger?", "y", "{y} is younger."))),
    ("{x} beat {y} at chess.",
     (("Who won at chess?", "x", "{x} won at chess."), ("Who lost at chess?", "y", "{y} lost at chess."))),
    ("The {t} belongs to {x}.",
     (("Who owns the {t}?", "x", "{x} owns the {t}."), ("Whose {t} is it?", "x", "It is {x}'s {t}."))),
    ("The {t} is {c}, and it is {x}'s.",
     (("[What|Which] colour is the {t}?", "c", "The {t} is {c}."), ("Whose is the {t}?", "x", "The {t} is {x}'s."))),
    ("{x} and {y} met at the {p}.",
     (("Where did {x} and {y} meet?", "p", "They met at the {p}."), ("[Who|Whom] did {x} meet?", "y", "{x} met {y}."))),
    ("{x} came first in the race, and {y} came last.",
     (("Who won the race?", "x", "{x} won the race."), ("Who came last?", "y", "{y} came last."))),
    ("There was a {k} [on|under] the table when {x} came home.",
     (("Which animal was there?", "k", "There was a {k}."), ("Who came home?", "x", "{x} came home."))),
    ("{x} had {q} plates of {f}.",
     (("How many plates did {x} have?", "q", "{x} had {q} plates."), ("What was on the plates?", "f", "It was {f}."))),
    ("{x} stopped because there was a {k} in the way.",
     (("Why did {x} stop?", "k", "There was a {k} in the way."), ("Who stopped?", "x", "{x} stopped."))),
    ("{x} always wears {c}.",
     (("[What|Which] colour does {x} wear?", "c", "{x} wears {c}."), ("Who wears {c}?", "x", "{x} wears {c}."))),
    ("{x} sold {q} tickets for the play.",
     (("How many tickets did {x} sell?", "q", "{x} sold {q} tickets."), ("Who sold tickets?", "x",
                                                                         "{x} sold tickets."))),
    ("{x} teaches {y} to swim every {d}.",
     (("Who teaches {y}?", "x", "{x} teaches {y}."), ("Whom does {x} teach?", "y", "{x} teaches {y}."),
      ("[On which day|When] does {x} teach?", "d", "{x} teaches on {d}."))),
    ("{x}'s {t} fell into the river.",
     (("What fell into the river?", "t", "The {t} fell into it."), ("Whose {t} fell in?", "x", "It was {x}'s {t}."))),
    ("Nobody but {x} could open the door of the {p}.",
     (("Who could open the door?", "x", "{x} could open it."), ("Which door was it?", "p", "It was the {p}'s door."))),
    ("It was {x} who rang the bell at the {p}.",
     (("Who rang the bell?", "x", "{x} rang the bell."), ("Where was the bell?", "p", "The bell was at the {p}."))),
    ("{x} would like to have a {k}, but {y} is against it.",
     (("What would {x} like to have?", "k", "{x} would like to have a {k}."),
      ("Who is against it?", "y", "{y} is against it."))),
    ("{x} needs {f} for the soup.",
     (("What does {x} need?", "f", "{x} needs {f}."), ("Who needs the {f}?", "x", "{x} needs the {f}."))),
    ("{y} was saved by {x}.",
     (("Who saved {y}?", "x", "{x} saved {y}."), ("Who was saved?", "y", "{y} was saved."))),
    ("The {f} was cooked by {x}.",
     (("Who cooked the {f}?", "x", "{x} cooked the {f}."), ("What did {x} cook?", "f", "{x} cooked {f}."))),
    ("The {t} was broken by {x}'s {k}.",
     (("Which animal broke the {t}?", "k", "The {k} broke it."), ("What was broken?", "t", "The {t} was broken."),
      ("Whose {k} was it?", "x", "It was {x}'s {k}."))),
    ("{x}'s brother is called {n}.", (("What is {x}'s brother called?", "n", "{x}'s brother is called {n}."),
                                      ("Whose brother is {n}?", "x", "{n} is {x}'s brother."))),
    ("{x} lives near the {p}.",
     (("Where does {x} live?", "p", "{x} lives near the {p}."), ("Who lives near the {p}?", "x",
                                                                 "{x} lives near the {p}."))),
    ("{x} dreamed of a {c} {k}.",
     (("What did {x} dream of?", "k", "{x} dreamed of a {k}."), ("Who had a dream?", "x", "{x} had a dream."),
      ("[What|Which] colour was the {k}?", "c", "The {k} was {c}."))),
    ("{x} will visit {y} in {m}.",
     (("When will {x} visit {y}?", "m", "{x} will visit {y} in {m}."), ("Who will visit {y}?", "x",
                                                                        "{x} will visit {y}."))),
    ("{x} counted {q} ducks on the pond.",
     (("How many ducks were there?", "q", "There were {q} ducks."), ("Who counted the ducks?", "x",
                                                                     "{x} counted the ducks."))),
    ("{x} forgot the {t} at the {p}.",
     (("Where is the {t} now?", "p", "The {t} is at the {p}."), ("Who forgot the {t}?", "x", "{x} forgot the {t}."))),
    ("{x} told {y} a secret.",
     (("Who told the secret?", "x", "{x} told it."), ("Who knows the secret now?", "y", "{y} knows it now."))),
    ("The best singer is {x}.", (("Who is the best singer?", "x", "{x} is the best singer."),)),
    ("{x} fell off a ladder on {d}.",
     (("When did {x} fall?", "d", "{x} fell on {d}."), ("Who fell off the ladder?", "x", "{x} fell off the ladder."))),
    ("{x} is afraid of the {k}.",
     (("What is {x} afraid of?", "k", "{x} is afraid of the {k}."), ("Who is afraid?", "x", "{x} is afraid."))),
    ("{x} has {q} cousins in {n}.",
     (("How many cousins does {x} have?", "q", "{x} has {q} cousins."), ("Where do the cousins live?", "n",
                                                                         "They live in {n}."))),
    ("{x} sent {l} to {y}.",
     (("Who sent the {l}?", "x", "{x} sent the {l}."), ("Who got the {l}?", "y", "{y} got the {l}."),
      ("What did {x} send?", "l", "{x} sent {l}."))),
    ("The teacher asked {x} to read aloud.", (("Who had to read aloud?", "x", "{x} had to read aloud."),)),
    ("{x} missed the train to {n}.",
     (("Who missed the train?", "x", "{x} missed the train."), ("Where did the train go?", "n",
                                                                "The train went to {n}."))),
    ("{x} found {q} coins in an old {t}.",
     (("How many coins did {x} find?", "q", "{x} found {q} coins."), ("Where were the coins?", "t",
                                                                      "The coins were in a {t}."))),
    ("A {k} followed {x} home.",
     (("What followed {x} home?", "k", "A {k} followed {x}."), ("[Who|Whom] did the {k} follow?", "x",
                                                                "The {k} followed {x}."))),
    ("{x} has been ill since {d}.",
     (("Since when has {x} been ill?", "d", "{x} has been ill since {d}."), ("Who is ill?", "x", "{x} is ill."))),
    ("{x} speaks louder than {y}.",
     (("Who speaks louder?", "x", "{x} speaks louder."), ("Who is quieter?", "y", "{y} is quieter."))),
    ("{x} sold the {t} to {y}.",
     (("Who bought the {t}?", "y", "{y} bought the {t}."), ("Who sold the {t}?", "x", "{x} sold the {t}."),
      ("What did {x} sell?", "t", "{x} sold the {t}."), ("What does {y} have now?", "t", "{y} has the {t}."))),
    ("{x} got the {t} from {y}.",
     (("Who has the {t} now?", "x", "{x} has the {t}."), ("Who gave the {t} away?", "y", "{y} gave it away."),
      ("What did {y} give away?", "t", "{y} gave away the {t}."))),
    ("{x} learned to skate from {y}.",
     (("Who taught {x}?", "y", "{y} taught {x}."), ("Who learned to skate?", "x", "{x} learned to skate."))),
    ("{x} lost the game against {y}.",
     (("Who lost the game?", "x", "{x} lost the game."), ("Who won the game?", "y", "{y} won the game."))),
    ("{x} is taller than {y}.",
     (("Who is taller?", "x", "{x} is taller."), ("Who is shorter?", "y", "{y} is shorter."))),
    ("{x} asked {y} for a {t}.",
     (("What did {x} ask for?", "t", "{x} asked for a {t}."), ("Who was asked for a {t}?", "y",
     "{y} was asked for it."),
      ("Who asked for a {t}?", "x", "{x} asked for a {t}."))),
    ("{x} made {f} for {y}.",
     (("For whom was the {f}?", "y", "The {f} was for {y}."), ("Who made the {f}?", "x", "{x} made the {f}."),
      ("What did {x} make?", "f", "{x} made {f}."))),
    ("{x} slept until noon, but {y} got up early.",
     (("Who got up early?", "y", "{y} got up early."), ("Who slept until noon?", "x", "{x} slept until noon."))),
    ("{x} was sad, and {y} was happy.",
     (("Who was sad?", "x", "{x} was sad."), ("Who was happy?", "y", "{y} was happy."))),
    ("{x} wants to be a {j} one day.",
     (("What does {x} want to be?", "j", "{x} wants to be a {j}."), ("Who wants to be a {j}?", "x",
                                                                     "{x} wants to be a {j}."))),
    ("There are {q} {l} in {x}'s garden.",
     (("How many {l} are there?", "q", "There are {q} {l}."), ("Whose garden is it?", "x", "It is {x}'s garden."),
      ("Which flowers are in the garden?", "l", "There are {l}."))),
    ("{x} keeps the {t} under the bed.",
     (("What is under the bed?", "t", "The {t} is under the bed."), ("Who keeps the {t}?", "x", "{x} keeps the {t}."))),
    ("The {t} cost {x} {q} coins.",
     (("How much did the {t} cost?", "q", "The {t} cost {q} coins."), ("Who paid for the {t}?", "x",
                                                                       "{x} paid for it."))),
    ("{x}'s {k} is {c}.",
     (("[What|Which] colour is the {k}?", "c", "The {k} is {c}."), ("Whose {k} is it?", "x", "It is {x}'s {k}."),
      ("Which animal does {x} have?", "k", "{x} has a {k}."))),
    ("The {k} ate {x}'s {f}.",
     (("Which animal ate the {f}?", "k", "The {k} ate it."), ("What did the {k} eat?", "f", "The {k} ate {f}."),
      ("Whose {f} did the {k} eat?", "x", "It ate {x}'s {f}."))),
    ("{x} cannot stand {f}.",
     (("What does {x} not like?", "f", "{x} dislikes {f}."), ("Who hates {f}?", "x", "{x} hates {f}."))),
    ("On {d}, {x} rode a {k}.",
     (("What did {x} ride?", "k", "{x} rode a {k}."), ("Who rode a {k}?", "x", "{x} rode a {k}."),
      ("[When|On which day] did {x} ride?", "d", "{x} rode on {d}."))),
    ("{x} has been to {n} {q} times.",
     (("How often was {x} in {n}?", "q", "{x} was there {q} times."), ("Which town does {x} know?", "n",
                                                                       "{x} knows {n}."))),
    ("{x} hid the {t} in a box.",
     (("What is in the box?", "t", "The {t} is in it."), ("Who hid the {t}?", "x", "{x} hid the {t}."))),
    ("The tall one is {x}, and the small one is {y}.",
     (("Who is the tall one?", "x", "The tall one is {x}."), ("Who is the small one?", "y", "The small one is {y}."))),
    ("{x} sings well, and {y} plays the flute.",
     (("Who plays the flute?", "y", "{y} plays the flute."), ("Who sings well?", "x", "{x} sings well."))),
    ("{x} opens the shop, and {y} closes it.",
     (("Who opens the shop?", "x", "{x} opens the shop."), ("Who closes the shop?", "y", "{y} closes it."))),
    ("{x} and {y} are neighbours, and {x} has {q} cats.",
     (("How many cats does {x} have?", "q", "{x} has {q} cats."), ("Who is {x}'s neighbour?", "y",
                                                                   "The neighbour is {y}."))),
    ("{x}, a {j}, lives alone.",
     (("What does {x} do for work?", "j", "{x} is a {j}."), ("Who lives alone?", "x", "{x} lives alone."))),
    ("The {j} of the town is called {x}.",
     (("What is the {j} called?", "x", "The {j} is called {x}."), ("What is {x}'s job?", "j", "{x} is a {j}."))),
    ("{x} painted the door {c}.",
     (("[What|Which] colour is the door now?", "c", "The door is {c}."), ("Who painted the door?", "x",
                                                                         "{x} painted the door."))),
    ("{x} put on a {c} coat.",
     (("[What|Which] colour was the coat?", "c", "The coat was {c}."), ("Who put on a coat?", "x",
                                                                       "{x} put on a coat."))),
    ("{x} was born in {m}.",
     (("When was {x} born?", "m", "{x} was born in {m}."), ("Who was born in {m}?", "x", "{x} was born in {m}."))),
    ("{x} plays the drum in {n}.",
     (("Where does {x} play?", "n", "{x} plays in {n}."), ("Who plays the drum?", "x", "{x} plays the drum."))),
    ("{x} worked for {q} hours.",
     (("How long did {x} work?", "q", "{x} worked for {q} hours."), ("Who worked?", "x", "{x} worked."))),
    ("A {k} sat on {x}'s roof.",
     (("What sat on the roof?", "k", "A {k} sat there."), ("Whose roof was it?", "x", "It was {x}'s roof."))),
    ("{x} saw {y} at the window.",
     (("Who was at the window?", "y", "{y} was at the window."), ("Who saw {y}?", "x", "{x} saw {y}."))),
    ("{x}'s {t} is bigger than {y}'s.",
     (("Whose {t} is bigger?", "x", "{x}'s {t} is bigger."), ("Whose {t} is smaller?", "y", "{y}'s {t} is smaller."))),
    ("{x} carried the {t} for {y}.",
     (("Who carried the {t}?", "x", "{x} carried the {t}."), ("For whom was the {t} carried?", "y", "It was for {y}."),
      ("What did {x} carry?", "t", "{x} carried the {t}."))),
    ("Because of the rain, {x} came late.",
     (("Who came late?", "x", "{x} came late."),)),
    ("{x} practises {h} with {y}.",
     (("With whom does {x} practise?", "y", "{x} practises with {y}."), ("What do they practise?", "h",
                                                                        "They practise {h}."))),
    ("For lunch {x} had {f}, and {y} had nothing.",
     (("Who had nothing?", "y", "{y} had nothing."), ("What did {x} have?", "f", "{x} had {f}."),
      ("Who had the {f}?", "x", "{x} had the {f}."))),
    ("{x} lost {q} buttons.",
     (("How many buttons did {x} lose?", "q", "{x} lost {q} buttons."), ("Who lost buttons?", "x",
                                                                         "{x} lost buttons."))),
    ("{x}'s letter came on {d}.",
     (("When did the letter come?", "d", "The letter came on {d}."), ("Whose letter was it?", "x",
                                                                      "It was {x}'s letter."))),
    ("{x} is the {j} of {n}.",
     (("Who is the {j}?", "x", "{x} is the {j}."), ("Of which town is {x} the {j}?", "n", "{x} is the {j} of {n}."))),
    ("{x} has a house with {q} windows.",
     (("How many windows are there?", "q", "There are {q} windows."), ("Whose house is it?", "x",
                                                                       "It is {x}'s house."))),
    ("The dog of {x} stole the {f}.",
     (("What did the dog steal?", "f", "The dog stole the {f}."), ("Whose dog was it?", "x", "It was {x}'s dog."))),
    ("{x} and {y} share a {t}.",
     (("What do {x} and {y} share?", "t", "They share a {t}."), ("With whom does {x} share?", "y",
                                                                 "{x} shares with {y}."))),
    ("In {m}, {x} went to {n}.",
     (("When did {x} go away?", "m", "{x} went in {m}."), ("Where did {x} go?", "n", "{x} went to {n}."),
      ("Who went to {n}?", "x", "{x} went to {n}."))),
)


def improvise(rng: random.Random, split: str, strange: float = 0.0) -> Plot:
    """Three or four deeds and states of three people, each about another thing. Verbs and states are held out, too: a
    held-out scene has some of its own. Who acts twice in a row is sometimes only "he" or "she" the second time."""
    scene, told, asks, used, before = [], [], [], set(), None
    for actor in _actors(rng):
        drawn = rng.choice((_draw_deed, _draw_state))(rng, split, actor, used, strange)
        if drawn is None:
            continue
        statement, questions = drawn
        scene.append(statement)
        told.append(_with_pronoun(statement, actor) if actor == before and rng.random() < 0.5 else statement)
        before = actor if sum(f"{{{name}}}" in statement for name in "abc") == 1 else None
        asks += questions
    return Plot(tuple(told), tuple(ask for ask in asks if _is_clear(ask, scene)))


def _actors(rng) -> str:
    """Three or four of the people a, b, c; now and then one of them goes on at once."""
    actors = ""
    for actor in rng.sample("abcabc", rng.choice((3, 3, 4))):
        actors += actors[-1] if actors and rng.random() < 0.3 else actor
    return actors


def _with_pronoun(statement: str, actor: str) -> str:
    """The statement about "he" or "she"; the cast has no pronoun for c."""
    pronoun = {"a": "{He}", "b": "{He2}"}.get(actor)
    name = f"{{{actor}}} "
    return f"{pronoun} {statement.removeprefix(name)}" if pronoun and statement.startswith(name) else statement


@functools.cache
def _known_verbs(kind: str, split: str) -> tuple[tuple[str, str], ...]:
    """Those of training, and of a held-out split its own besides."""
    verbs, = (verbs for name, verbs, *_ in DEEDS if name == kind)
    return tuple(verb for verb in verbs if split_of("verb", kind, verb[0]) in ("train", split))


@functools.cache
def _known_states(split: str) -> tuple:
    known = tuple(state for state in STATES if split_of("state", state[0]) in ("train", split))
    return known + TRAITS if split == "train" else known


def _draw_verb(rng, kind: str, split: str, strange: float) -> tuple[str, str]:
    if rng.random() >= strange:
        return rng.choice(_known_verbs(kind, split))
    verb, tail = made_name(rng, split).lower().rstrip("aeiou"), rng.choice((" to", " at", " near")) * (kind == "p")
    return verb + tail, verb + "ed" + tail


def _draw_deed(rng, split, actor, used, strange):
    """(statement, questions), or None when nothing new is left to do it to."""
    kind, _, statement, questions = rng.choice(DEEDS)
    base, past = _draw_verb(rng, kind, split, strange)
    pair = {"x": f"{{{actor}}}", "y": _object_of(rng, kind, actor, used)}
    pair["o"] = _object_of(rng, "t", actor, used) if kind == "g" else ""
    if None in pair.values() or (kind, base) in used:
        return None
    used.add((kind, base))
    slots = {"c": "{c1}" if pair["y"][-2] == "1" else "{c2}", "p": "{p2}", "d": "{d1}", "w": "{w}"}
    return _filled(statement, questions, pair | slots | {"base": base, "past": past, "go": base.rsplit(" ", 1)[0]})


def _draw_state(rng, split, actor, used, _):
    statement, questions = rng.choice(_known_states(split))
    kinds = sorted(set(re.findall(r"\{(\w)\}", statement)) - {"x"})
    fill = {"x": f"{{{actor}}}"} | {kind: _object_of(rng, "b" if kind == "y" else kind, actor, used) for kind in kinds}
    if None in fill.values() or statement in used:
        return None
    used.add(statement)
    return _filled(statement, questions, fill)


def _filled(statement: str, questions, fill: dict[str, str]):
    """Letters to the slots of a cast: {x} to {a}, {t} to {t2}."""
    return statement.format(**fill), [(question.format(**fill), fill[slot].strip("{}"), reply.format(**fill))
                                      for question, slot, reply in questions]


def _object_of(rng, kind: str, actor: str, used: set) -> str | None:
    """A slot of the kind that nobody in the scene has yet; people may come again. Days and places keep their first or
    second for what is only mentioned by the way."""
    pool = {"b": "abc", "g": "abc", "p": ("p1",), "d": ("d2",)}.get(kind, (kind + "1", kind + "2"))
    names = [name for name in pool if name != actor and name not in used]
    if not names:
        return None
    name = rng.choice(names)
    if kind not in ("b", "g"):
        used.add(name)
    return f"{{{name}}}"


def _is_clear(ask, scene) -> bool:
    """Whether one statement alone answers: no other one has the same subject and verb. Things are there only once."""
    words = ask[2].rstrip(".").split(" ")
    if not words[0].startswith("{"):
        return True
    return sum(words[0] in line and words[1] in line.split(" ") for line in scene) <= 1


JOINTS = ("{0}. {1}. {2}.", "{0}, and {1}. {2}.", "{0}. {1}, but {2}.", "{0}, {1}, and {2}.", "{0}; {1}; {2}.",
          "{0}, while {1}. {2}.")


def side_by_side(rng: random.Random, split: str, strange: float = 0.0) -> Plot:
    """Two or three people do the same, each to another thing: only the thing tells them apart. Now and then the verb is
    said once: "Anna bought a kite, Ben a lamp"."""
    kind, _, statement, questions = rng.choice([deed for deed in DEEDS if deed[0] in "tfk"])
    base, past = _draw_verb(rng, kind, split, strange)
    scene, asks, is_short, actors = [], [], rng.random() < 0.3, rng.sample("abc", rng.choice((2, 3, 3)))
    statement = (expand(statement)[0] if is_short else rng.choice(expand(statement))).rstrip(".")
    for i, actor in enumerate(actors, 1):
        fill = {"x": f"{{{actor}}}", "y": f"{{{kind}{i}}}", "c": f"{{c{i}}}", "p": "{p1}", "d": "{d1}", "base": base,
                "past": past}
        said = statement.replace("{x} {past}", "{x}") if is_short and scene else statement
        line, asked = _filled(said, questions, fill)
        scene.append(line)
        asks += asked
    if is_short:
        told = ", ".join(scene[:-1]) + rng.choice((" and ", ", and ", ", ")) + scene[-1] + "."
    else:
        told = rng.choice(JOINTS).format(*scene) if len(scene) == 3 else rng.choice((". ", ", and ")).join(scene) + "."
    return Plot((told,), tuple(asks))


OWN_PLOT_SHARE = 0.25  # of all scenes are the split's own plots
IMPROVISED_SHARE = {"train": 0.7, "val": 0.6, "test": 0.6}  # of the others
SIDE_BY_SIDE_SHARE = 0.18  # of the others in training, an exercise; held-out stories are none


def draw_plot(rng: random.Random, split: str, strange: float = 0.0) -> Plot:
    """An improvised or a shared plot, or now and then one of the split's own; names are of the split. A share of the
    improvised verbs is `strange`, known to nobody ("Anna talvined a kite"): who is to find such a one again must look,
    where a known verb tempts to guess."""
    if rng.random() < OWN_PLOT_SHARE:
        return rng.choice(OWN_PLOTS[split])
    if split == "train" and rng.random() < SIDE_BY_SIDE_SHARE:
        return side_by_side(rng, split, strange)
    while rng.random() < IMPROVISED_SHARE[split]:
        plot = improvise(rng, split, strange)
        if len(plot.scene) >= 2 and len(plot.asks) >= 2:
            return plot
    return rng.choice(PLOTS)


def tell(rng: random.Random, plot: Plot, slots: dict[str, str]) -> str:
    return " ".join(capital(say(rng, sentence, **slots)) for sentence in plot.scene)


class Question(NamedTuple):
    text: str
    slot: str     # of the cast, what answers it
    reply: str    # in a sentence


def plot_questions(rng: random.Random, plot: Plot, slots: dict[str, str]) -> list[Question]:
    """One wording of each of a plot's questions, in random order, but for those that name their answer: "What was inside
    the coat?", when it was a coat."""
    asks = rng.sample(plot.asks, len(plot.asks))
    questions = [Question(capital(say(rng, ask, **slots)), slot, capital(say(rng, reply, **slots)))
                 for ask, slot, reply in asks]
    return [question for question in questions if not re.search(rf"\b{slots[question.slot]}\b", question.text)]
