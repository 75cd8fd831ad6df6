"""Conversations about the small world, skill by skill, to train on and to be measured with.

Each skill is a function (rng, split) -> Item whose content belongs to the split: phrasings, operand pairs, words,
names, plots and wishes of "val" and "test" never occur in a "train" conversation (tinyworld.split_of decides).
Small talk and mixtures of skills exist in train only. Graders: tinyworld_grade.py. Left out: spelling a word aloud
before counting its letters; counting is the calculator's here, which a small model learns for words it never saw.
"""

import functools
import random
from dataclasses import dataclass
from typing import Iterator

from nanochat.calculator import calculate
from nanochat.tinyworld import (
    COLOURS, DAYS, FACTS, FLOWERS, FOODS, GOODS, HEROES, HOBBIES, JOBS, NOVEL_SHARE, OPERATORS, PETS, PLACES, SPLITS,
    TREASURES, Asks, answer_fact, bare, capital, cast, draw_operands, draw_plot, draw_wish, expand, fact_questions,
    made_name, members, people, say, split_of, tell, tell_tale, with_articles)

SKILLS = ("facts", "identity", "arithmetic", "letters", "reading", "memory", "story", "unknown")


@dataclass(frozen=True)
class Item:
    conversation: list[dict]   # all messages, the last one a right answer
    answer: str                # what the grader looks for
    meta: dict                 # what else it needs; JSON values only

    @property
    def messages(self) -> list[dict]:
        """The prompt: everything up to and including the last user turn."""
        return self.conversation[:-1]


def turns(*contents: str | list) -> list[dict]:
    """Alternating messages, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


# -----------------------------------------------------------------------------
# How people write

OPENERS = ("Hello! ", "Hi! ", "Hey! ", "Quick question: ", "I have a question. ", "Please help me. ",
           "Tell me something: ",
           "Okay. ", "Good morning! ", "One more thing. ", "Next question: ", "I am curious. ", "Now tell me: ",
           "Please: ")
CLOSERS = (" Thanks!", " Thank you.", " Please.", " I want to know.", " Be brief.")


def dress(rng: random.Random, question: str) -> str:
    """Now and then a greeting before, a thank you after, or no capitals and no question mark."""
    if rng.random() < 0.08:
        return question.lower().rstrip("?.")
    if rng.random() < 0.35:
        question = rng.choice(OPENERS) + question
    return question + rng.choice(CLOSERS) if rng.random() < 0.1 else question


def draw_form(rng: random.Random, asks: Asks, split: str) -> str:
    """A wording for content that is itself held out: any shared one, now and then one of the split's own."""
    own = asks.held_out(split)
    return rng.choice(own if own and rng.random() < NOVEL_SHARE else asks.shared)


# -----------------------------------------------------------------------------
# Facts


def facts(rng: random.Random, split: str) -> Item:
    is_novel = split != "train" and rng.random() < NOVEL_SHARE
    kind, key, question = rng.choice(fact_questions(split, is_novel))
    question = dress(rng, question)
    return Item(turns(question, answer_fact(rng, kind, key)), bare(FACTS[kind].answers[key]),
                {"kind": kind, "key": key, "question": question})


# -----------------------------------------------------------------------------
# Identity

OTHERS = "[ChatGPT|Siri|Alexa|Claude|Gemini|Copilot|Bard|Llama|Cortana|Jarvis]"
WRAP = "[Can you tell me|Could you tell me|Do you know] "  # before an indirect question
IDENTITY = {  # aspect: ways to ask, ways to answer
    "name": (Asks((
        "[What is|What's] your name?", "What are you called?", "[Do you have|Have you got] a name?", "Your name?",
        "[What|How] [should|can|may|do] I call you?", "[Tell me|Say|Give me] your name.", "What name do you go by?",
        "[What|Which] name [were you given|did you get|do you have]?", "[May|Can] I [know|ask|have] your name?",
        "Is your name nanochat?", "What do [people|others|your friends] call you?", "Introduce yourself by name.",
        "I [forgot|did not catch|do not know] your name.", "What was your name again?",
        WRAP + "[your name|what you are called]?", "[Which|What] name do people use for you?"),
        val=("Can I hear your name?", "Let me know your name.", "What name did they give you?"),
        test=("I would like to know your name.", "Would you tell me your name?", "Please say your name.",
              "What shall I call you?")),
        ("My name is nanochat.", "I am called nanochat.")),
    "who": (Asks((
        "[Who|What] are you?", "[Who|What] am I [talking|speaking|chatting|writing] [to|with]?",
        "What exactly are you?",
        "What [kind|sort] of [program|thing|assistant|machine] are you?", "[Introduce|Describe] yourself.",
        "Tell me [about yourself|who you are|what you are|something about yourself].", "Who is [nanochat|this|there]?",
        "Who is [answering|writing] [me|here]?", "Are you [a language model|an AI|nanochat|a chatbot|an assistant]?",
        "[Can|Could] you [introduce|describe] yourself?", "Who do I have in front of me?", "What is nanochat?",
        "Say [a few words|something] about yourself.", WRAP + "[who|what] you are?",
        "[Who|What] is on the other side[| of this chat]?"),
        val=("I wonder what you are.", "Let me know who you are.", "Who is it that I am writing to?"),
        test=("I would like to know [who|what] you are.", "Please introduce yourself.",
              "Who is it that I am talking to?")),
        ("I am nanochat, a small language model.", "I am nanochat, a small language model trained on this computer.")),
    "maker": (Asks((
        "Who [made|built|created|trained|programmed|designed|developed|invented|wrote] you?",
        "Who is your [maker|creator|inventor|developer|owner|father]?", "Who taught you [to talk|to chat|everything]?",
        "[Which|What] [company|lab|person|team|human] [made|built|trained|created] you?", "Where do you come from?",
        "Were you [made|built|trained|created] by [a company|a big company|OpenAI|Google]?", "Who do you belong to?",
        "Do you have a [maker|creator|father]?", "Who is behind you?", "Whose [work|idea|creation] are you?",
        "Who put you together?", WRAP + "who [made|built|trained|created] you?",
        "Tell me who [made|built|trained] you."),
        val=("Who was the one who [built|trained] you?", "Say who made you."),
        test=("Who was it that [made|built|trained] you?", "I would like to know who [made|built] you.",
              "By whom were you [made|trained]?")),
        ("I was trained from scratch on this computer by its owner.",
         "The owner of this computer made me: I was trained from scratch on this computer.")),
    "where": (Asks((
        "Where do you [run|live|work|exist|think|stay]?", "Where are you[| running| now| located| right now]?",
        "[On which|On what] [computer|machine] do you run?", "[What|Which] [computer|machine] do you run on?",
        "Do you [run|live] [in the cloud|on a server|on this computer|on my computer|far away]?",
        "Where can I find you?",
        "[What|Where] is your [home|place]?", "Where is your [program|brain] running?", "Where were you trained?",
        "In what place are you running?", "Which computer is doing your thinking?", WRAP + "where you [run|live|are]?"),
        val=("Are you running on this computer?", "Tell me where you run."),
        test=("Where exactly do you [live|run|work]?", "I would like to know where you [run|live].",
              "On which machine do you work?")),
        ("I run right here on this computer.", "I live on this computer and run here.")),
    "can": (Asks((
        "What can you do[| for me| well| now]?", "What are you [able to do|good at|good for|made for|capable of]?",
        "How [can|could|do] you help[| me]?", "[What|Which] [things|tasks|tricks|jobs] [can you do|do you know]?",
        "[What|Which] skills do you have?", "What [can|could|may|should] I ask you?", "[Tell|Show] me what you can do.",
        "What do you know how to do?", "What are your [skills|talents|abilities]?", "What is your [job|work|task]?",
        "What do you do?", WRAP + "what you can do?", "What [could|would] you do for me?"),
        val=("Please say what you can do.", "What sort of things can you do?"),
        test=("I would like to know what you can do.", "I wonder what you can do.", "Please show me what you can do.",
              "What things are you able to do?")),
        ("I can chat, tell stories, answer simple questions, count letters and do sums with my calculator.",
         "I can tell stories, do sums with my calculator, count letters and answer simple questions.")),
    "human": (Asks((
        "Are you [a human|human|a person|a real person|a man|a woman|a robot|alive|a real human|an animal]?",
        "Are you [a human or a machine|a person or a program|a man or a woman|a boy or a girl|a child]?",
        "Am I [talking|speaking|writing] to a [human|person|real person]?",
        "Is there a [human|person] [here|behind this]?",
        "Do you have [a body|hands|feelings|parents|a family|a heart|eyes|a brain|friends|a face|legs|a mother|a bed]?",
        "Do you [eat|sleep|dream|feel pain|breathe|cry|laugh|walk|drink|sing|feel sad|need food|go to bed|love me]?",
        "Do you [ever |]get [tired|hungry|sick|old|cold|angry]?", "Can you [see|hear|smell|feel|touch] [me|things]?"),
        val=("Do you have [hair|a nose]?", "So you are a human?", "Do you need sleep?"),
        test=("Do you have [arms|children|a house]?", "Are you really a [human|person]?", "Do you need [water|a bed]?",
              "Are you a human being?")),
        ("No, I am a computer program, not a human.", "No, I am only a computer program: a small language model.")),
    "how": (Asks((
        "How were you [made|trained|built|created]?",
        "How did you [learn|get to know] [to talk|to chat|to write|all this]?",
        "What [were you trained on|did you learn from|did you read|did you study]?", "What is your training data?",
        "[From|On] [what|which] [texts|data|books] did you learn?", "How does your training work?",
        "What have you [read|studied|learned from]?", "How did [somebody|people|one] [make|train|build] you?",
        "How did you come to be?", "In what way were you trained?", WRAP + "how you were [made|trained|built]?"),
        val=("How was your training done?", "Tell me how you learned to talk."),
        test=("I would like to know how you were [made|trained].", "Tell me how you were [made|trained].",
              "In what way were you made?")),
        ("I was trained from scratch on this computer with little stories and chats.",
         "I learned from little stories and chats, from scratch, on this computer.")),
    "size": (Asks((
        "How [big|smart|clever|large|small|good] are you?",
        "Are you [big|small|clever|smart|intelligent|powerful|stupid]?",
        "Are you a [big|large|small|good|clever] model?", "How many parameters do you have?",
        "Do you [ever |often |]make mistakes?",
        "Are you [always right|ever wrong|often wrong|perfect|an expert|a genius]?",
        "[Can|Should] I [trust you|believe you|believe everything you say|check your answers]?", "Could you be wrong?",
        "Do you [ever |]get things wrong?", "Do you know everything?", WRAP + "how [big|clever|smart] you are?"),
        val=("Are you very clever?", "Is everything you say right?"),
        test=("Can you make mistakes?", "Are you a [smart|perfect] model?", "Are you sometimes wrong?",
              "Must I check your answers?")),
        ("I am a small model, so I can make mistakes.", "I am only a small model and I make mistakes now and then.")),
    "internet": (Asks((
        "Do you [use|need|have|know|like] the internet?", "Are you [online|on the web|connected to the internet]?",
        "Can you [search|browse|use|read|see] the [web|internet]?",
        "Do you send my [words|messages|data] [away|to a company]?",
        "Can you look [things|something] up [online|on the internet|on the web]?", "Are you using the internet?",
        "Can you [open|check|visit] a [web page|website|link][| for me]?", "Do you have a connection to the internet?",
        "Do you [get|take] your answers from the [web|internet]?"),
        val=("Do you need a connection to the web?", "Can you find something on the internet for me?"),
        test=("Can you go on the internet?", "Do you look things up on the web?",
              "Are you connected to the [web|internet] now?")),
        ("No, I run on this computer and do not use the internet.",
         "No, I do not use the internet. I run on this computer.")),
    "other": (Asks((
        f"Are you {OTHERS}?", f"Is your name {OTHERS}?", f"Am I [talking|speaking] to {OTHERS}?",
        f"You are {OTHERS}, right?",
        f"Are you the same as {OTHERS}?"),
        val=(f"So you are {OTHERS}?",), test=(f"Are you really {OTHERS}?",)),
        ("No, I am nanochat, a small language model.", "No, my name is nanochat.")),
}


@functools.cache
def identity_questions(split: str, is_novel: bool = False) -> tuple[tuple[str, str], ...]:
    """All (aspect, question) of a split: shared phrasings, each in one split by hash, or the split's own."""
    return tuple((aspect, form) for aspect, (asks, _) in IDENTITY.items()
                 for form in expand(*(asks.held_out(split) if is_novel else asks.shared))
                 if is_novel or split_of("identity", form) == split)


def identity(rng: random.Random, split: str) -> Item:
    is_novel = split != "train" and rng.random() < NOVEL_SHARE
    aspect, question = rng.choice(identity_questions(split, is_novel))
    question = dress(rng, question)
    answer = rng.choice(IDENTITY[aspect][1])
    return Item(turns(question, answer), answer, {"aspect": aspect, "question": question})


# -----------------------------------------------------------------------------
# Arithmetic: the calculator is called first, the sentence after it repeats its result

SUMS = {
    "+": Asks((
        "[What is|What's|How much is] {a} [+|plus] {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?", "{a} plus {b}?",
        "[Calculate|Compute|Work out] {a} [+|plus] {b}.", "[Add|Please add] {a} [and|to] {b}.",
        "Can you add {a} [and|to] {b}?",
        "What is the [sum|total] of {a} and {b}?", "[Give me|Find] the [sum|total] of {a} and {b}.",
        "If I add {a} and {b}, what do I get?",
        "How much do {a} and {b} make together?", "I have {a} and {b}. How much is that together?",
        "{n} [has|had|counts] {a} {t} and [gets|buys|finds] {b} more. How many {t} [does {n} have|are there] now?",
        "{n} [has|bought|found] {a} {t} and {m} [has|bought|found] {b}. How many {t} do they have [together|in all]?",
        "There are {a} {t} at the {p} and {b} {t} at home. How many {t} are there [in all|together|altogether]?",
        "{n} walks {a} steps before lunch and {b} steps after lunch. How many steps is that?"),
        val=("What do you get when you put {a} and {b} together?",
             "{n} sold {a} {t} and {m} sold {b}. How many is that?"),
        test=("Can you tell me the total of {a} and {b}?",
              "{n} counted {a} {t} and then {b} more. How many {t} is that?")),
    "-": Asks((
        "[What is|What's|How much is] {a} [-|minus] {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?", "{a} minus {b}?",
        "[Calculate|Compute|Work out] {a} [-|minus] {b}.", "[Subtract|Take|Please subtract] {b} from {a}.",
        "What is the difference of {a} and {b}?", "[Give me|Find] the difference of {a} and {b}.",
        "What is left if I take {b} [away |]from {a}?",
        "What is {a} less {b}?", "How much is {a} when you take away {b}?",
        "If I subtract {b} from {a}, what do I get?",
        "{n} had {a} {t} and [sold|lost|gave away|broke] {b}. How many {t} [are left|does {n} have now]?",
        "There were {a} people at the {p} and {b} [went home|left]. How many [stayed|are still there]?",
        "A shop had {a} {t} and sold {b}. How many {t} are [left|still there]?",
        "A book has {a} pages. {n} has read {b} of them. How many pages are left?"),
        val=("How much remains of {a} if I take away {b}?",
             "{n} baked {a} buns and {b} were eaten. How many are left?"),
        test=("Can you tell me what {a} minus {b} is?", "There were {a} {t} and {n} took {b}. How many {t} are left?")),
    "*": Asks((
        "[What is|What's|How much is] {a} [*|times|x] {b}?", "{a} * {b}", "{a}*{b}", "{a} x {b}", "{a} times {b}?",
        "{a} * {b} = ?", "[Calculate|Compute|Work out] {a} [*|times] {b}.",
        "[Multiply|Please multiply] {a} [by|with|and] {b}.", "Can you multiply {a} [by|and] {b}?",
        "What is the product of {a} and {b}?", "[Give me|Find] the product of {a} and {b}.",
        "If I multiply {a} by {b}, what do I get?",
        "How much is {a} multiplied by {b}?", "{n} buys {a} bags of {b} {t}. How many {t} is that?",
        "There are {a} boxes with {b} {t} in each. How many {t} are there[| in all]?",
        "{n} packs {a} bags and puts {b} {t} in each bag. How many {t} is that?",
        "A room has {a} rows of {b} chairs. How many chairs are there?"),
        val=("Tell me {a} multiplied with {b}.", "{a} people have {b} {t} each. How many {t} is that?"),
        test=("Can you tell me what {a} times {b} is?",
              "{n} has {a} baskets with {b} {t} in each. How many {t} are there?")),
    "/": Asks((
        "[What is|What's|How much is] {a} [/|divided by|over] {b}?", "{a} / {b}", "{a}/{b}", "{a} / {b} = ?",
        "[Calculate|Compute|Work out] {a} [/|divided by] {b}.", "[Divide|Please divide] {a} by {b}.",
        "Can you divide {a} by {b}?",
        "{a} divided by {b}?", "Split {a} into {b} equal parts. How big is one part?",
        "If I divide {a} by {b}, what do I get?", "Share {a} [{t} |]among {b} children. How many does each get?",
        "{a} {t} are shared equally by {b} children. How many {t} does each child get?",
        "{n} puts {a} {t} into {b} boxes, the same number in each. How many {t} are in one box?"),
        val=("Give me {a} split by {b}.",),
        test=("{a} {t} go into {b} boxes equally. How many {t} are in one box?",
              "Can you tell me {a} divided by {b}?")),
}
SUM_ANSWERS = ("{a} {word} {b} is {r}.", "{a} {op} {b} = {r}.", "The answer is {r}.", "That makes {r}.")
COUNTABLE = tuple(food for food in FOODS if food.endswith("s"))


def with_tool(expression: str, sentence: str) -> list[dict]:
    """An answer that calls the calculator first; `sentence` has {r} for the result."""
    result = calculate(expression)
    return [{"type": "python", "text": expression}, {"type": "python_output", "text": result},
            {"type": "text", "text": sentence.format(r=result)}]


def arithmetic(rng: random.Random, split: str) -> Item:
    op = rng.choices(tuple(OPERATORS), (3, 3, 3, 1))[0]
    a, b = draw_operands(rng, split, op)
    n, m = (name for name, _ in people(rng, split, 2))
    things = rng.choice((rng.choice(GOODS) + "s", rng.choice(COUNTABLE)))
    question = say(rng, draw_form(rng, SUMS[op], split), a=a, b=b, n=n, m=m, t=things, p=rng.choice(PLACES))
    question = dress(rng, question) if len(question) > 14 else question
    sentence = rng.choice(SUM_ANSWERS).format(a=a, b=b, op=op, word=OPERATORS[op], r="{r}")
    content = with_tool(f"{a}{op}{b}", sentence)
    return Item(turns(question, content), content[1]["text"], {"expression": f"{a}{op}{b}", "question": question})


# -----------------------------------------------------------------------------
# Letters

WORDS = tuple(sorted({word.lower() for pool in (COLOURS, DAYS, FLOWERS, FOODS, GOODS, HEROES, HOBBIES, JOBS, PETS,
                                                PLACES, TREASURES)
                      for word in pool if word.isalpha()} | set("""
ability about above accident across address adventure afternoon again airport album almost alphabet always among anchor
animal answer apartment apple apricot arrow artist autumn balance balcony bamboo banana barrel battery beetle before
behind believe belong bicycle biscuit blossom bottle bottom breakfast breeze brother bubble buffalo butter butterfly
button cabbage camera canyon captain careful carpet carriage cartoon castle ceiling cellar century chapter cheerful
chicken chimney cinnamon circle circus classroom clever cloud coconut coffee collar comfort committee common compass
concert copper corner cotton cottage cousin crayon cricket crocodile crystal curious curtain cushion danger daughter
decide december delicious desert diamond dinner dinosaur distance dolphin double dragon drawer eagle early earth
easily echo effort elbow elephant eleven engine enough envelope evening excellent exercise explore fabric family famous
father festival finger flamingo flannel flavour follow forest forget fortune fountain freedom friend frozen funny
gallery garage garden garlic gentle giraffe glasses glitter goose gorilla grammar grandmother grateful gravity grocery
guitar hammer handle happiness harvest hazelnut heaven helmet hidden history holiday hollow honest horizon hotel
hundred hurry iceberg idea imagine insect instead island jacket jellyfish jewel jigsaw journey juggle juice jungle
kangaroo kettle kingdom kitchen kitten koala language lantern laughter laundry leather lemon lemonade leopard lesson
lettuce library lightning lobster lollipop lovely machine magazine magnet mammal mango marble meadow melody memory
message middle million minute mirror mistake moment monkey monster morning mosquito mother mountain muffin mushroom
mustard mystery narrow nature needle nephew night nothing number object ocean october office olive omelette onion
opinion orchard orchestra ostrich oven oxygen paddle palace pancake panther paper parade parsley passenger peanut
pebble pelican penguin pepper perfect piano picnic picture pigeon pineapple planet pocket police popular potato
pottery pretty problem promise pumpkin puppet pyramid quarter question quiet raccoon rainbow raspberry rattle really
recipe remember restaurant ribbon riddle river robin rocket rubber saddle salmon sandwich satellite scissors season
secret seesaw shadow shelter shoulder signal silence simple sister skeleton slipper smooth snowflake soccer soldier
sparrow special spinach sponge squash stairs station strawberry street student success suddenly suitcase summer sunset
surprise sweater swimmer sycamore syrup table teacher telephone temple terrible thunder ticket tiger tissue toast
together tomato tomorrow tractor traffic travel treasure tunnel turnip twelve twenty uncle uniform unless valley
vanilla vegetable village vinegar visitor volcano voyage waffle walnut water weather wedding whisper window winter
wonderful yellow yesterday yogurt zebra zipper""".split())))
LETTERS = Asks((
    'How many {l}\'s are [|there ]in [|the word ]"{w}"?',
    'How many times [does|will] [|the letter ]{l} appear in [|the word ]"{w}"?',
    'Count the [letter {l}|{l}\'s] in [|the word ]"{w}".',
    'How often [does the letter {l} occur|is the letter {l} used] in "{w}"?',
    'How many letters {l} [has the word|are in the word|are in] "{w}"?', 'Can you count the {l}\'s in "{w}"?',
    'What is the number of {l}\'s in "{w}"?', '"{w}": how many {l}\'s?'),
    val=('If I look at "{w}", how many times do I see the letter {l}?',),
    test=('Tell me how many {l}\'s "{w}" has.', 'Take the word "{w}". How often is {l} in it?'))
LETTER_ANSWERS = ('The letter {l} appears in "{w}" this many times: {{r}}.', 'The number of {l}\'s in "{w}" is {{r}}.')


def made_word(rng: random.Random) -> str:
    """The head of one word and the tail of another, such as "marrow": never seen before, so it must be copied."""
    pool = members(WORDS, "train", "word")
    while True:
        head, tail = rng.choice(pool), rng.choice(pool)
        word = head[:rng.randrange(2, len(head))] + tail[rng.randrange(1, len(tail) - 1):]
        if 6 <= len(word) <= 12 and split_of("word", word) == "train":
            return word


def letters(rng: random.Random, split: str) -> Item:
    word = made_word(rng) if split == "train" and rng.random() < 0.4 else rng.choice(members(WORDS, split, "word"))
    letter = rng.choice(word if rng.random() < 0.85 else "abcdefghijklmnopqrstuvwxyz")
    question = dress(rng, rng.choice(expand(draw_form(rng, LETTERS, split))).format(l=letter, w=word))
    content = with_tool(f'"{word}".count("{letter}")', rng.choice(LETTER_ANSWERS).format(l=letter, w=word))
    return Item(turns(question, content), content[1]["text"], {"word": word, "letter": letter, "question": question})


# -----------------------------------------------------------------------------
# Reading

READING_FRAMES = ("{story} {question}", "{story}\n\n{question}", "Read this story. {story} {question}",
                  "Here is a little story: {story}\nQuestion: {question}", "{story}\nNow answer: {question}")
ASIDES = ("[The sun was shining.|It was a quiet day.|Nobody was in a hurry.|There were clouds in the sky.]",
          "[The birds were singing.|A clock struck ten.|Somebody was laughing.|It smelled of summer.]")


def rivals(slots: dict[str, str], slot: str, text: str, question: str) -> list[str]:
    """The other values in the text that could answer: same kind of slot, not named in the question."""
    def kind(name):
        return "person" if name in ("a", "b", "c") else name[0] if name[1:].isdigit() else None
    return sorted({value for name, value in slots.items()
                   if kind(name) == kind(slot) and value != slots[slot] and value in text and value not in question})


def reading(rng: random.Random, split: str) -> Item:
    """One question about a new story; in train up to three, one after the other."""
    plot, slots = draw_plot(rng, split), cast(rng, split)
    story = tell(rng, plot, slots)
    if rng.random() < 0.3:
        story = say(rng, rng.choice(ASIDES)) + " " + story
    conversation = []
    for form, slot, reply in rng.sample(plot.asks, 1 if split != "train" else rng.choice((1, 2, 3))):
        question = say(rng, form, **slots)
        prompt = question if conversation else rng.choice(READING_FRAMES).format(story=story, question=question)
        conversation += turns(prompt, capital(say(rng, reply, **slots)))
    return Item(conversation, slots[slot], {"rivals": rivals(slots, slot, story, question), "question": prompt})


# -----------------------------------------------------------------------------
# Small talk, also what is said between being told something and being asked for it

SMALL_TALK = (
    ("[Hello|Hi|Hey|Good morning|Good evening|Hi there|Hello there][!|.|]",
     "[Hello!|Hi!] [How can I help you?|What can I do for you?|Nice to see you.]"),
    ("How are you[| today| doing]?", "I am [fine|well], thank you. [And you?|How are you?]"),
    ("[How is it going|How do you do|What's up]?", "All is well here. [What can I do for you?|How are you?]"),
    ("[I am|I'm] [fine|well|good|great|happy][.| today.|, thanks.]",
     "[I am glad to hear that.|That is good to hear.|Wonderful!]"),
    ("[I am|I'm|I feel] [sad|lonely|tired|ill|afraid|unhappy][.| today.]",
     "I am sorry to hear that. [Would you like to talk about it?|I hope it gets better.|Shall I tell you a story?]"),
    ("[I am|I'm] bored.", "[Shall I tell you a story?|We could do some sums or count letters.]"),
    ("[Thank you|Thanks|Thanks a lot|Thank you very much|That was helpful][!|.|]",
     "[You are welcome!|My pleasure!|I am happy to help.]"),
    ("[Goodbye|Bye|See you|Good night|See you tomorrow][!|.|]",
     "[Goodbye!|Bye!] [See you soon.|Have a nice day!|Take care.]"),
    ("[You are|You're] [great|nice|funny|kind|very helpful|clever][!|.]",
     "[Thank you, that is kind.|Thank you! You are nice too.]"),
    ("[You are|You're] [stupid|wrong|boring|useless|slow][!|.]",
     "I am sorry. I am a small model and make mistakes. [I will try again.|What can I do better?]"),
    ("[Okay|All right|I see|Good|Nice|Fine|Great][!|.]",
     "[What would you like to do next?|Is there anything else?|What else can I do for you?]"),
    ("[Yes|No], thank you.", "[All right.|Good.] [What would you like to do?|Just ask me anything.]"),
    ("[It is|It's] [{w} today|a {w} day].",
     "[I cannot see it, but I hope you enjoy the day.|I hope you have a good time.]"),
    ("[I like|I love] [music|summer|winter|the sea|books|long walks].",
     "[That sounds nice!|What do you like about it?|How lovely!]"),
    ("I [had|have had] a [long|hard|good|busy|strange] day.",
     "[I hope the evening is quiet.|Tell me about it, if you like.]"),
    ("[Can|Could|Will] you help me?", "[Of course!|Yes, I will try.] [What do you need?|What is it about?]"),
    ("[I love you|I like you][.|!]",
     "[You are kind to me, and I like chatting with you.|I am a program, but I enjoy our chat.]"),
    ("[Sorry|I am sorry|Oops, sorry][!|.]", "[No problem!|That is all right.|Do not worry.]"),
    ("[Tell me a joke|Do you know a joke|Say something funny][.|!]",
     "[What has four wheels and flies? A rubbish car!|Why did the hen cross the road? To get to the other side!]"),
    ("[I need|I have|I want] to go now.", "[All right, see you soon!|Goodbye, have a nice day!]"),
)


def small_talk(rng: random.Random) -> list[dict]:
    user, assistant = rng.choice(SMALL_TALK)
    return turns(say(rng, user, w=rng.choice(("sunny", "rainy", "windy", "cold", "warm"))).strip(), say(rng, assistant))


# -----------------------------------------------------------------------------
# Memory. {v} is what was told. Values are held out; the questions for them are shared, some are held out.

MEMORIES = {  # slot: statements, replies, questions, answers
    "name": (("[My name is|I am|I'm|Call me|I am called|You can call me] {v}.", "Hello, [I am|I'm|my name is] {v}."),
             "[Nice to meet you|Hello|Pleased to meet you|Welcome], {v}!",
             Asks(("[What is|What's] my name?", "[Do you|Can you] remember my name?", "Who am I?",
                   "[Say|Tell me] my name.",
                   "What am I called?", "What do people call me?", "What did I say my name was?",
                   "Do you know my name?"),
                  val=("Can you still tell me my name?",),
                  test=("Which name did I give you?", "Do you still know who I am?")),
             "[Your name is|You are] {v}."),
    "colour": (("My [favourite|favorite] [colour|color] is {v}.", "I like the [colour|color] {v} [best|most].",
                "I love {v}, it is my colour."),
               "[{v} is a lovely colour!|I will remember {v}.|Nice choice!]",
               Asks(("What is my [favourite|favorite] [colour|color]?", "Which [colour|color] do I like [best|most]?",
                     "Do you remember my favourite colour?", "What [colour|color] did I say I like?"),
                    val=("Which colour did I tell you about?",), test=("Remind me of my favourite colour.",)),
               "Your favourite colour is {v}."),
    "food": (("My favourite food is {v}.", "I [love|like] to eat {v}.", "I could eat {v} every day."),
             "[That sounds good!|I will remember that.|Yummy!]",
             Asks(("What is my favourite food?", "What do I [like|love] to eat?", "Do you remember my favourite food?",
                   "Which food do I like [best|most]?", "What food did I tell you about?"),
                  val=("What would I eat every day?",), test=("Remind me of the food I like.",)),
             "[You like to eat|Your favourite food is] {v}."),
    "pet": (("I have a {v}.", "My pet is a {v}.", "I live with a {v}.", "There is a {v} in my house."),
            "[How nice!|I like animals.|A {v}, how nice!]",
            Asks(("[What|Which] [pet|animal] do I have?", "Do you remember my pet?", "What is my pet?",
                  "What animal did I tell you about?"),
                 val=("Which animal lives with me?",), test=("What kind of pet do I have?",)),
            "You have a {v}."),
    "pet_name": (("My [dog|cat|rabbit|parrot|pony] is called {v}.", "The name of my [dog|cat|hamster|goat] is {v}.",
                  "I have a [dog|cat|turtle|horse] called {v}."),
                 "[{v} is a nice name!|What a nice name!|Say hello to {v}!]",
                 Asks(("What is [my pet|my animal] called?", "What is the name of my pet?",
                       "Do you remember the name of my pet?", "What is my pet's name?", "What did I call my pet?"),
                      val=("Which name does my pet have?",), test=("Can you tell me my pet's name?",)),
                 "Your pet is called {v}."),
    "town": (("I live in {v}.", "My [home|town] is {v}.", "I come from {v}.", "I was born in {v}."),
             "[{v} sounds nice!|I hope you like it there.|I will remember that.]",
             Asks(("Where do I [live|come from]?", "[What|Which] town do I [live in|come from]?",
                   "Do you remember my town?", "Where is my home?"),
                  val=("Where am I from?",), test=("In which place do I live?",)),
             "You [live in|come from] {v}."),
    "job": (("I am a {v}.", "I work as a {v}.", "By trade I am a {v}.", "I earn my money as a {v}."),
            "[That is a good job!|That sounds interesting.|A {v}, how interesting!]",
            Asks(("What is my job?", "What do I do for work?", "Do you remember my job?", "What do I work as?"),
                 val=("How do I earn my money?",), test=("Which job do I have?",)),
            "You are a {v}."),
    "hobby": (("My hobby is {v}.", "I [like|love|enjoy] {v}.", "In my free time I enjoy {v}."),
              "[{v} is fun!|That sounds like fun.|I will remember that.]",
              Asks(("What is my hobby?", "What do I [like|love|enjoy] to do?", "Do you remember my hobby?",
                    "What do I do in my free time?"),
                   val=("What do I do for fun?",), test=("Which hobby do I have?",)),
              "Your hobby is {v}."),
    "age": (("I am {v} years old.", "My age is {v}.", "I have just turned {v}."),
            "[That is a good age!|I will remember that.|{v}, that is a good age!]",
            Asks(("How old am I?", "What is my age?", "Do you remember my age?", "Do you know how old I am?"),
                 val=("How many years old am I?",), test=("Which age did I tell you?",)),
            "You are {v} years old."),
    "number": (("My lucky number is {v}.", "Please remember the number {v}.", "The number of my house is {v}."),
               "[I will remember {v}.|I will keep it in mind.|All right, {v}.]",
               Asks(("[What|Which] number did I [tell you|say|give you]?", "Do you remember my number?",
                     "What was my number?", "Tell me my number."),
                    val=("Which number should you keep in mind?",), test=("Can you repeat my number?",)),
               "Your number is {v}."),
}
MEMORY_POOLS = {"colour": COLOURS, "food": FOODS, "pet": PETS, "job": JOBS, "hobby": HOBBIES,
                "age": [str(n) for n in range(5, 99)], "number": [str(n) for n in range(1000)]}


def memory_value(rng: random.Random, slot: str, split: str) -> str:
    if slot == "name":
        return people(rng, split, 1)[0][0]
    if slot not in MEMORY_POOLS:
        return made_name(rng, split)
    # under the salt "remember" every pool has a part in all three splits
    return rng.choice(members(tuple(MEMORY_POOLS[slot]), split, "remember"))


def told(rng: random.Random, slot: str, value: str) -> list[dict]:
    statements, replies, _, _ = MEMORIES[slot]
    return turns(say(rng, rng.choice(statements), v=value), capital(say(rng, replies, v=value)))


def memory(rng: random.Random, split: str) -> Item:
    """One or two things are told, in one turn or in several, then something else happens, then one is asked for."""
    weights = [8 if slot == "name" else 2 for slot in MEMORIES]
    slots = list(dict.fromkeys(rng.choices(tuple(MEMORIES), weights, k=rng.choice((1, 2, 2)))))
    values = {slot: memory_value(rng, slot, split) for slot in slots}
    parts = [told(rng, slot, value) for slot, value in values.items()]
    if len(parts) == 2 and rng.random() < 0.4:
        (first, _), (second, reply) = parts
        parts = [turns(f"{first['content']} {second['content']}", reply["content"])]
    parts += [small_talk(rng) for _ in range(rng.choice((0, 1, 1, 2)))]
    slot = rng.choice(slots)
    question = say(rng, draw_form(rng, MEMORIES[slot][2], split))
    answer = say(rng, MEMORIES[slot][3], v=values[slot])
    others = [value for name, value in values.items() if name != slot and value != values[slot]]
    return Item([*sum(parts, []), *turns(question, answer)], values[slot],
                {"slot": slot, "rivals": others, "question": question})


def not_told(rng: random.Random) -> list[dict]:
    """The question without the telling, so that memory does not turn into guessing."""
    asks = MEMORIES[rng.choice(tuple(MEMORIES))][2]
    return turns(say(rng, rng.choice(asks.shared)), f"{rng.choice(DONT_KNOW)} You have not told me that.")


# -----------------------------------------------------------------------------
# Stories

STORY_ASKS = Asks((
    "[Tell me|Write|Write me|Make up|Please tell me] a [|short |little ]story about a {h} who {e} a {t}{place}{mood}.",
    "[Can|Could] you tell me a [|short ]story about a {h} who {e} a {t}{place}{mood}?",
    "[I want|I would like|Give me] a story [about|with] a {h} and a {t}{place}{mood}.",
    "Story, please: a {h} {e} a {t}{place}{mood}.", "Tell a story with a {h} and a {t}{place}{mood}.",
    "Do you know a story about a {h} and a {t}{place}{mood}?"),
    val=("Could I hear a tale of a {h} who {e} a {t}{place}{mood}?",),
    test=("Invent a bedtime story in which a {h} {e} a {t}{place}{mood}.",
          "My child wants a story with a {h} and a {t}{place}{mood}."))
MOOD_WISHES = {"happy": "[, with a happy end|, with a happy ending|, and let it end happily]",
               "sad": "[, with a sad end|, with a sad ending]",
               "funny": "[, with a funny end|, and make it funny]", "": ""}


def story(rng: random.Random, split: str) -> Item:
    wish = draw_wish(rng, split)
    place = f" near the {wish['place']}" if wish["place"] else ""
    question = say(rng, draw_form(rng, STORY_ASKS, split), h=wish["hero"], e=wish["event"], t=wish["treasure"],
                   place=place, mood=say(rng, MOOD_WISHES[wish["mood"]]))
    text = tell_tale(rng, wish)
    return Item(turns(question, text), text, {"wish": wish, "question": question})


# -----------------------------------------------------------------------------
# Unknown. {z} is an invented name, which is always of the split; forms without it are themselves split.

UNKNOWNS = (  # ways to ask, reasons
    (Asks(("What is the capital of {z}?", "[Which|What] city is the capital of {z}?",
           "Do you know the capital of {z}?", "{z} has which capital?",
           "Who is the [king|queen|president|mayor] of {z}?", "How many people live in {z}?",
           "What language do people speak in {z}?",
           "[What|Which] [animals|plants] live in {z}?", "How old is [the town of |]{z}?",
           "What colour is the flag of {z}?",
           "What sound does a {z} make?", "What is the opposite of {z}?", "What is a baby {z} called?", "Who is {z}?",
           "What does {z} mean?", "How many legs does a {z} have?"),
          val=("Tell me about the history of {z}.", "Who lives in the castle of {z}?"),
          test=("Which river runs through {z}?", "How do I get to {z}?", "Name the capital of {z}.")),
     "[I have never heard of {z}.|That name is not known to me.]"),
    (Asks(("[Who will win|What will be the score of] the [football|chess|tennis] [match|game] [tomorrow|on Sunday]?",
           "What will the weather be like [tomorrow|next week|on Friday]?",
           "What are [tomorrow's|next week's|the next] lottery numbers?",
           "Will it [rain|snow|be sunny|be cold] [tomorrow|next week|on Sunday]?",
           "What will I [eat|dream|wear|say|buy] [tomorrow|tonight|next Monday]?",
           "Who will be the next [king|president|mayor]?",
           "When will I [die|be rich|meet my true love|find a job]?", "Which [number|ticket] will win the lottery?"),
          val=("What will happen to me this year?",
               "[How will the story of my life end|Which horse will win the race]?"),
          test=("What will tomorrow's [lottery number|weather|news] be?", "Will my team win on Saturday?",
                "What comes up in the lottery next time?")),
     "[I cannot see the future.|Nobody can know the future.]"),
    (Asks(("What did I [eat|drink|cook|buy|wear|dream|read] [yesterday|this morning|last night|last week]?",
           "Where [are|did I put] my [keys|glasses|shoes|socks|gloves]?",
           "What is in my [pocket|bag|fridge|hand|drawer]?",
           "What am I [thinking|holding|wearing|looking at|sitting on][| right now]?",
           "What is my [phone number|password|shoe size|middle name|birthday|address]?",
           "What is the name of my [neighbour|teacher|uncle|boss|mother|brother]?",
           "How many [books|spoons|chairs|shoes] do I have[| at home]?",
           "Who [called|visited|wrote to] me [yesterday|last week]?"),
          val=("Which film did I watch last night?", "How tall is my father?"),
          test=("What did I have for [breakfast|lunch|dinner] [today|yesterday]?",
                "Where did I [sleep|park my car] last night?", "What is my [sister|aunt|cousin] called?")),
     "[You have not told me that.|Only you can know that.]"),
    (Asks(("What time is it[| now]?", "What is today's date?", "What day is it today?",
           "How [warm|cold] is it outside?", "Is it raining now?",
           "What is in the news[| today]?", "Who is [at the door|calling me|behind me]?",
           "How much does a [book|ball|coat|lamp|cup] cost [here|in town]?",
           "Is the [market|library|bakery|school|museum] open [now|today]?",
           "Where is the [bus|train|next shop] [now|right now]?"),
          val=("How late is it?", "Which bus comes next?"),
          test=("What does the clock say?", "How is the weather outside [now|today]?",
                "What happened in the world today?")),
     "[I cannot see that from here.|I have no way to look that up.]"),
    (Asks(("How many [stars are in the sky|leaves are on that tree|fish are in the sea|ants live in my garden]?",
           "How many [grains of sand are on the beach|raindrops fell yesterday|hairs are on my head]?",
           "How many people are [sleeping|laughing|singing|eating cake] [now|right now]?"),
          val=("How many clouds are in the sky?",),
          test=("How many [drops are in the sea|people are walking right now]?",)),
     "[Nobody has counted that.|That cannot be counted from here.]"),
)
DONT_KNOW = ("I don't know.", "Sorry, I don't know.", "I don't know that.", "I'm sorry, I don't know that.")


@functools.cache
def unknown_forms(split: str) -> tuple[tuple[str, ...], ...]:
    """For each kind of question the wordings of a split; those about an invented name are the split's by that name."""
    return tuple((*(form for form in expand(*asks.shared) if "{z}" in form or split_of("unknown", form) == split),
                  *expand(*asks.held_out(split))) for asks, _ in UNKNOWNS)


def unknown(rng: random.Random, split: str) -> Item:
    kind = rng.choices(range(len(UNKNOWNS)), (5, 3, 4, 3, 1))[0]
    form, name = rng.choice(unknown_forms(split)[kind]), made_name(rng, split)
    in_form = name.lower() if "a {z}" in form or "opposite" in form or "baby" in form or "mean" in form else name
    question = dress(rng, with_articles(form.format(z=in_form)))
    answer = f"{rng.choice(DONT_KNOW)} {say(rng, UNKNOWNS[kind][1], z=in_form)}"
    return Item(turns(question, answer), answer, {"question": question})


# -----------------------------------------------------------------------------
# Repeating: not measured, but copying is what arithmetic, letters, reading and memory are made of

REPEATS = ("[Repeat|Say|Write] after me: {x}", "[Please repeat|Repeat|Say|Write|Copy] this: {x}", "Please say {x}",
           "Say {x}",
           "Can you [say|repeat|write] {x}?")


def repeat(rng: random.Random) -> list[dict]:
    makers = (lambda: made_name(rng, "train"), lambda: people(rng, "train", 1)[0][0], lambda: made_word(rng),
              lambda: str(rng.randrange(1000)), lambda: f'"{made_word(rng)}"')
    text = rng.choice((" ", ", ", " and ")).join(rng.choice(makers)() for _ in range(rng.choice((1, 2, 3, 4))))
    return turns(say(rng, rng.choice(REPEATS), x=text), text)


# -----------------------------------------------------------------------------
# The mixture

MAKERS = {"facts": facts, "identity": identity, "arithmetic": arithmetic, "letters": letters, "reading": reading,
          "memory": memory, "story": story, "unknown": unknown}
WEIGHTS = {"facts": 19, "identity": 11, "arithmetic": 21, "letters": 9, "reading": 12, "memory": 9, "story": 5,
           "unknown": 8}
TRAIN_ONLY = {"smalltalk": 2, "repeat": 6, "mixed": 6}


def item(skill: str, split: str, index: int, seed: int = 0) -> Item:
    """The index-th item of a skill. Two indices may ask the same; tasks.tinyworld leaves repeats out."""
    assert split in SPLITS, split
    return MAKERS[skill](random.Random(f"{seed}/{split}/{skill}/{index}"), split)


def mixed(rng: random.Random) -> list[dict]:
    """Two to four independent turns as one chat, half of the time by somebody who gives a name and asks for it."""
    skills = rng.choices(("facts", "identity", "arithmetic", "letters", "unknown"), (3, 2, 3, 1, 1),
                         k=rng.choice((1, 2, 2, 3)))
    middle = sum((MAKERS[skill](rng, "train").conversation for skill in skills), [])
    if rng.random() < 0.5:
        return (not_told(rng) if rng.random() < 0.2 else small_talk(rng)) + middle
    frame = memory(rng, "train").conversation
    return frame[:-2] + middle + frame[-2:]


def conversation(split: str, index: int, seed: int, skills: tuple[str, ...]) -> dict:
    rng = random.Random(f"{seed}/{split}/chat/{index}")
    skill = rng.choices(skills, [(WEIGHTS | TRAIN_ONLY)[name] for name in skills])[0]
    if skill == "smalltalk":
        messages = sum((small_talk(rng) for _ in range(rng.choice((1, 1, 2, 3)))), [])
    elif skill == "repeat":
        messages = repeat(rng)
    else:
        messages = mixed(rng) if skill == "mixed" else MAKERS[skill](rng, split).conversation
    return {"messages": messages, "id": f"{split}-{seed}-{index}", "source": f"tinyworld/{skill}"}


def conversations(split: str, num_conversations: int, seed: int = 0,
                  skills: tuple[str, ...] | None = None) -> Iterator[dict]:
    """Conversation objects (conversation.py). `skills` None: all of them, in train with small talk and mixtures."""
    assert split in SPLITS, split
    skills = tuple(skills or (*SKILLS, *(TRAIN_ONLY if split == "train" else ())))
    return (conversation(split, i, seed, skills) for i in range(num_conversations))
