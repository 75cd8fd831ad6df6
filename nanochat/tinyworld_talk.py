"""What nanochat says about itself and what it does not know, and small talk.

Each skill is a function (rng, split) -> Item. What is held out is decided by the bare question (`core`); some wordings
belong to "val" or "test" alone. Tables come first in each section, then the one or two functions that draw from
them. Answers are few, short and always the same, questions are many: a tiny model should learn one thing to say to
everybody. Left out: opinions, jokes of its own making, and every real thing of the big world, about which nanochat
says that it does not know.
"""

import functools
import random
import re
from dataclasses import dataclass
from typing import NamedTuple

from nanochat.calculator import calculate
from nanochat.tinyworld import (
    OWN_SHARE, SPLITS, Asks, core, dress, expand, is_apart, made_name, say, spans, spans_of_core, split_of, with_articles)
from nanochat.tinyworld_facts import FACTS, unanswerable
from nanochat.tinyworld_wordings import IDENTITY_ASKS, UNKNOWN_ASKS

# -----------------------------------------------------------------------------
# What a conversation is


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


def with_tool(expression: str, sentence: str, before: str = "") -> list[dict]:
    """An answer that calls the calculator, first of all or after a few words; `sentence` has {r} for the result."""
    result = calculate(expression)
    return [*([{"type": "text", "text": before}] if before else []), {"type": "python", "text": expression},
            {"type": "python_output", "text": result}, {"type": "text", "text": sentence.format(r=result)}]


@functools.cache
def shared_forms(asks: Asks, salt: str) -> dict[str, tuple[str, ...]]:
    """Of each split, its shared readings, by the hash of the bare words. What a split asks alone is nobody else's."""
    kept = {core(form) for part in ("val", "test") for form in expand(*asks.own(part))}
    forms: dict[str, list[str]] = {split: [] for split in SPLITS}
    for form in expand(*asks.shared):
        if (bare_words := core(form)) not in kept:
            forms[split_of(salt, bare_words)].append(form)
    return {split: tuple(found) for split, found in forms.items()}


@functools.cache
def trained_spans(asks: Asks, salt: str) -> set[tuple[str, ...]]:
    return set().union(*map(spans, shared_forms(asks, salt)["train"]))


def held_out_forms(asks: Asks, split: str, is_own: bool, salt: str) -> tuple[str, ...]:
    """The readings of val or test: shared ones, each in one split by hash, or the split's own. None shares eight words
    in a row with shared ones that are trained on."""
    forms = expand(*asks.own(split)) if is_own else shared_forms(asks, salt)[split]
    return tuple(form for form in forms if not spans(form) & trained_spans(asks, salt))


def trained_forms(asks: Asks, others: tuple[Asks, ...], is_own: bool, salt: str) -> tuple[str, ...]:
    """The readings of training: shared ones, or its own, but for those that are asked anyway (of `others`, too) and
    those that share eight words in a row with one that is held out."""
    if not is_own:
        return shared_forms(asks, salt)["train"]
    cores, held_out_spans = _asked_anyway(others, salt)
    return tuple(form for form in expand(*asks.train) if is_apart(core(form), cores, held_out_spans))


@functools.cache
def _asked_anyway(all_asks: tuple[Asks, ...], salt: str) -> tuple[set[str], set[tuple[str, ...]]]:
    """Bare words of all but training's own readings, and the spans of eight words of those that are held out."""
    held_out = {core(form) for asks in all_asks for split in ("val", "test") for is_own in (False, True)
                for form in held_out_forms(asks, split, is_own, salt)}
    trained = {core(form) for asks in all_asks for form in shared_forms(asks, salt)["train"]}
    return held_out | trained, set().union(*map(spans_of_core, held_out))


# -----------------------------------------------------------------------------
# Identity

FRAMES = {  # part of speech: what is put around it, {x} holding all of an aspect's phrases
    "are": (
        "[Are you|Are you really|Are you perhaps|Are you actually|Are you also|And are you|So are you] {x}?",
        "You are {x}, [right|aren't you|yes|no|is that so]?", "So you are {x}[.|, I think.|, they say.]",
        "[Tell me|I wonder|I want to know|Say|I cannot tell] [if|whether] you are {x}.",
        "[Do you know|Can you tell me|Could you say|May I ask] [if|whether] you are {x}?",
        "[Is it true|Is it so|Do you think|Am I right|Can it be] that you are {x}?",
        "[I think|I heard|I believe|People say|My friend says] [|that ]you are {x}.",
        "[Would|Do|Can] you call yourself {x}?", "Is nanochat {x}?", "Aren't you {x}?", "You're {x}?",
        "[Have you always been|Were you ever|Have you ever been|Will you be] {x}?"),
    "do": (
        "Do you [|ever |really |sometimes |also |often |always ]{x}?", "[Can|Could|Would|Will] you {x}?",
        "[Are you able|Do you know how|Is it possible for you|Do you want|Are you allowed|Do you like] to {x}?",
        "[Tell me|I wonder|I want to know|Say] [if|whether] you [|can ]{x}.", "You [|can |do ]{x}, [right|no|yes]?",
        "[Is it true|Do you think] that you [|can ]{x}?", "[I think|I heard|People say] [|that ]you [|can ]{x}.",
        "Does nanochat {x}?", "Don't you {x}?", "Can't you {x}?", "Have you learned to {x}?", "Try to {x}.",
        "How do you {x}?", "When do you {x}?"),
    "have": (
        "Do you [|really |also |still |ever ]have {x}?", "[Have|Haven't] you got {x}?", "Don't you have {x}?",
        "You have {x}, [right|no|don't you]?", "[Tell me|I wonder|I want to know|Say] [if|whether] you have {x}.",
        "[Is it true|Do you think|Am I right] that you have {x}?", "Does nanochat have {x}?", "You got {x}?",
        "[I think|I heard|People say] [|that ]you have {x}.", "Can you have {x}?", "Did you ever have {x}?",
        "What about {x}, do you have that?", "Is there {x} [in you|for you|with you]?"),
    "your": (
        "[What is|What's|What was|So what is|And what is] your {x}?", "Your {x}?", "And your {x}?",
        "[Tell me|Say|Give me|Describe|Explain|Show me|Name] your {x}.", "What do you say about your {x}?",
        "[Do you know|Can you tell me|Could you tell me|May I know|Can I ask|Will you tell me] your {x}?",
        "[I want to know|I would like to hear|I forgot|I do not know|I wonder about] your {x}.",
        "What about your {x}?", "[Talk|Tell me|Say something] about your {x}.", "What can you say about your {x}?"),
    "clause": (
        "[Can you tell me|Could you tell me|Do you know|May I ask|Will you say|Can you explain|Can I ask] {x}?",
        "[Tell me|I want to know|I wonder|Say|I don't know|I forgot|Explain|I am not sure|I need to know] {x}.",
        "[My friend asks|Everybody asks|My mother asks|Somebody wants to know|We want to know] {x}.",
        "[I have no idea|It is not clear to me|What I want to know is|My question is] {x}.", "Do you remember {x}?"),
}


class Aspect(NamedTuple):
    asks: Asks                  # whole questions
    phrases: dict[str, str]     # part of speech in FRAMES: "phrase|phrase"
    answers: tuple[str, ...]


def aspect(*shared: str, answers: tuple[str, ...], val: tuple[str, ...], test: tuple[str, ...], clauses: str,
           **phrases: str) -> Aspect:
    """The first of the `clauses` ("who you are|what you are") are also asked in each held-out split's own way."""
    few = "|".join(clauses.split("|")[:4])
    return Aspect(Asks(shared, (*val, f"Let me know [{few}].", f"Are you able to say [{few}]?"),
                       (*test, f"I would like to know [{few}].", f"Would you mind telling me [{few}]?")),
                  phrases | {"clause": clauses}, answers)


OTHERS = "ChatGPT|Siri|Alexa|Claude|Gemini|Copilot|Bard|Llama|Cortana|Jarvis|Grok|DeepSeek|Mistral|Eliza|Watson"
OTHER = f"[{OTHERS}]"
# Where aspects are easily taken for each other, one answer says what each of them asks for. What fits two with different
# answers ("Do you run?" is one of place, "How long were you trained?" one of age) is asked of one alone, or not at all.
NAMED = ("I am nanochat, a small language model that speaks only simple English and can make mistakes.",)
TRAINED = ("I was trained from scratch on this computer by its owner, with little stories and chats, and I run right here "
           "without the internet.",)
PROGRAM = ("I am nanochat, a computer program, not a human, and I have no feelings.",)
IDENTITY = {
    "name": aspect(
        "[What is|What's|Tell me|Say|Give me|And what is] your name?", "What are you called?", "[Your name|Name]?",
        "[Do you have|Have you got|You got] a name?", "[What|How] [should|can|may|do|must] I call you?",
        "[What|Which] name do you [go by|answer to|carry|bear]?",
        "[What|Which] name [were you given|did you get|do you have|do you use]?",
        "[May|Can|Could] I [know|ask|have|hear] your name?", "[Is your name|Are you called] nanochat?",
        "What do [people|others|your friends|they] call you?",
        "[Introduce yourself|Present yourself|Greet me] [by|with your] name.", "And your name is?",
        "I [forgot|did not catch|do not know|want to hear] your name.",
        "What was your name[| again| just now], [nanochat|please|sorry|then]?",
        "[Which|What] name do people use for you?", "[so|um|say,] what's your name?", "what is ur name",
        "[Do|Can] you remember your [own |]name?",
        "[By|Under] [what|which] name do [people|we|they|your friends] know you?",
        "[Remind me of|Repeat|Spell out|Let me hear] your name[| again| once more].",
        "[Got|Have|Any] [a name|some name] [for me|there|at all]?", "How [should|do|may] I [speak to|greet|name] you?",
        "What [would|do] you [like|want|wish|prefer] to be [called|named]?",
        "Is there [a name|some name|any name] for [you|this bot|this program]?",
        "What's the name of this [program|chatbot|model|assistant]?",
        "Do [you go|they go|people know you] by [nanochat|that name|a name]?",
        "What is the name that [they|your owner|your maker|people] [gave|chose for|picked for] you?",
        "[May|Could] I get your name?", "What [do|should|may] I call this [bot|program|thing|model]?",
        "What does [your name tag|your badge|your passport|the label] say[| about your name]?",
        "You [must|surely|do] have a name, [no|right|don't you]?", "whats your name",
        "What is written on your [label|badge|door|passport]?", "[How|What] do [they|your friends] call you at home?",
        "When I [speak of|write to|mention|thank] you, [what|which] name do I [use|write|say]?",
        "[What|Which] name [did your owner pick|was chosen|stands on your label|is your own]?",
        "[Sign|Start|End|Answer] with your name[| please].",
        are="called nanochat|named nanochat|known as nanochat|nanochat",
        have="a name|a nickname|any name|a name of your own|a title|a good name|some kind of name",
        your="name|own name|real name|full name|nickname|true name|short name",
        clauses="what your name is|what you are called|what I can call you|which name you have|how people call you"
                "|what name you have|how to call you|what to call you|by which name I can call you",
        val=("What name did they give you?", "How do they call you?", "Your first name, please?",
             "Under what name do you work?"),
        test=("What shall I call you?", "Which name is yours?", "How are you called?", "What name goes with you?",
              "Are you somebody with a name?"),
        answers=("My name is nanochat, and I am a small language model.",)),
    "who": aspect(
        "[Who|What] [are you|r u|is this|exactly are you]?", "[So|And|Well], [who|what] are you?",
        "[Who|What] am I [talking|speaking|chatting|writing] [to|with]?", "What is nanochat?", "Who is nanochat?",
        "What [kind|sort] of [program|thing|assistant|machine|model] are you?", "[Introduce|Describe] yourself.",
        "Tell me [about yourself|about you|something about yourself|a bit about yourself].",
        "Who is [there|here|this I see|speaking|typing]?",
        "Who is [answering|writing|talking to] [me|here]?", "[Can|Could] you [introduce|describe] yourself?",
        "[Who|What] do I [have|see|find] [in front of me|here|before me]?", "You are what?",
        "Say [a few words|something|a word or two] about yourself.",
        "[Who|What] is on the other side[| of this chat]?", "I [do not|don't] know you[| yet| at all].",
        "[We have not met|I am new here|We do not know each other]. [Who|What] are you?",
        "What [should|must|can] I know about you[| first]?",
        "[Which|What] [model|AI|program|bot] [is this|are you|am I using]?",
        "Is this [a bot|an AI|a chatbot|a program|a language model]?",
        "[Define|Explain|Present] [yourself|nanochat][| in short| please].", "Who r u really?",
        "Are you some [kind|sort] of [AI|bot|robot|program]?", "In one sentence, [who|what] are you?",
        "[Give|Write|Tell] me [your introduction|a few words about you|a line on yourself].",
        "Tell [us|me|everybody] [who|what] is [speaking|writing|talking|here].", "What [kind|sort] of AI are you?",
        "[What|Whom] am I [dealing with|facing|using|looking at here][|, please| now]?",
        "What would you call yourself: a bot, a model, a tool?",
        "Explain [who|what] you are.", "Say in a few words who you are.",
        "How [would|do|can] you [describe|define|see|explain] yourself?",
        "[Explain to|Tell|Say to|Show] [my mother|my brother|a child|us all|my class] [who|what] you are.",
        "[Who|What] did I [just open|start|turn on|meet here]?",
        "[Who|What] are you [again|anyway|exactly|then|today]?",
        "And you are?", "[Who or what|Who|What] is this [thing|program|chat|bot]?", "[Who|What] is this nanochat?",
        "I wonder [who|what] is [talking|writing|answering] [here|to me].",
        "Who has the [honour|pleasure] to talk to me?", "[What|Who] is behind this [screen|window|page|text box]?",
        are="a language model|an AI|a chatbot|an assistant|a bot|a model|a chat program|artificial intelligence|an app"
            "|software|a helper|a neural network|a talking program|a digital assistant|a tool",
        clauses="who you are|what you are|who I am talking to|what kind of thing you are|what sort of program you are"
                "|who is writing here|what this program is|who is answering me|what nanochat is|who nanochat is",
        val=("Who is it that I am writing to?", "What are you, in a few words?", "Give me a line about yourself.",
             "What thing am I chatting with?"),
        test=("Who is it that I am talking to?", "Please introduce yourself to me.", "What might you be?",
              "Tell the children who you are.", "Present yourself."),
        answers=NAMED),
    "maker": aspect(
        "[Who|What] [made|built|created|trained|programmed|designed|developed|invented|wrote|coded|produced] you?",
        "Who is your [maker|creator|inventor|developer|owner|father|boss|teacher|author|mother|master|programmer]?",
        "Who taught you [to talk|to chat|to write|everything|all this]?", "Whose [work|idea|creation|program] are you?",
        "[Which|What] [company|lab|person|team|human|firm|school|group] [made|built|trained|created|owns|sells] you?",
        "Were you [made|built|trained|created] by [a company|OpenAI|Google|a person|a student|somebody]?",
        "[Who|What company|Which person] do you belong to?", "Where do you [come from|have your start|originate]?",
        "Who owns you?", "Who is behind you?",
        "Who [put|set|pieced] you together?", "who made u", "You were [made|built|trained] by [who|whom]?",
        "[Did|Has] [somebody|a person|a company|Google|my neighbour|anyone] [make|build|train|program|design] you?",
        "[Somebody|A person|Some company] must have [made|built|trained] you. [Who|Which one]?",
        "Who [should get|gets|takes] [the credit|the praise|the blame] for you?", "Who is responsible for you?",
        "Who set you up[| here| on this computer]?", "Who started you?",
        "Who [came up with|thought of|dreamed up] you[| first]?",
        "[What|Which] [company|lab|place] do you come from?", "Who wrote your [code|program]?",
        "[Who|What company] do you work for?",
        "Are you [a product of|from|made by] [OpenAI|Google|Microsoft|Apple|a big company]?",
        "Whose [model|bot|computer program] are you?", "Were you [born|made|trained] in a [lab|company|school]?",
        "[Which|What] people are behind you?",
        "Who made all this?", "Who did the [work|job] of [training|building|making|teaching] you?",
        "Who [pays|sells|runs|controls] you?",
        "Who had the idea [for you|to make you|to train you]?", "Are you the work of [one person|many people|a firm]?",
        "[To whom|To what company] do you belong?", "[Who|What sort of person] would make [something like |]you?",
        have="a maker|a creator|a father|a boss|an owner|an inventor|a developer|a company behind you|an author",
        your="maker|creator|origin|inventor|developer|owner|author|company|programmer",
        clauses="who made you|who built you|who trained you|who your maker is|where you come from|who created you"
                "|who owns you|who programmed you|who designed you|which company made you|who wrote you",
        val=("Who was the one who [built|trained] you?", "Which hands made you?", "Name your maker.",
             "Who gave you your training?"),
        test=("Who was it that [made|built|trained] you?", "By whom were you [made|trained]?", "Name your creator.",
              "Who must I thank for you?"),
        answers=TRAINED),
    "where": aspect(
        "Where [do|did] you [run|live|work|exist|think|stay]?", "Where are you[| running| now| located| right now]?",
        "[On which|On what] [computer|machine|device|laptop] do you [run|live|work]?", "Where were you trained?",
        "[What|Which] [computer|machine|device] do you [run on|live on|use|need]?",
        "Where [can|could|do] [I|we|people] find you?",
        "where r u", "[What|Where] is your [home|place|house|office]?",
        "In [what|which] place are you [running|living|kept|working]?",
        "Where is your [program|brain] [running|kept]?",
        "[Which|What] [computer|machine] is doing [your thinking|the work|your sums]?",
        "Is your home [on this computer|in a big city|in America]?", "You live where?",
        "Which place do you call home?",
        "[What|Which] [hardware|chip|processor|computer] [do you use|is under you|runs you]?",
        "[What|Which] machine am I talking to?",
        "Where are you [hosted|installed|stored|saved|based|living]?", "Where does your [code|model] run?",
        "Do you run locally?", "How [far|far away|near|close] are you[| from me| to me]?",
        "In [which|what] [country|city|town|street|room] are you?",
        "Where [in the world|on earth|exactly|at the moment] are you?",
        "Do I have you [here|on my own computer|on my disk]?", "Where is the [machine|computer|server] that runs you?",
        are="here|near|far away|local|on my laptop|on a server|in a lab|in the cloud|in a data centre"
            "|in another country"
            "|in a big city|on this computer|inside my computer|on my desk|in America|next to me|at home|close by",
        do="run in the cloud|live on a server|work on this computer|run on my computer|live far away|run locally"
           "|live in a city|sit on a server|run on a laptop|live in this machine|think on my computer",
        have="a home|a door number|a place to live|a server|an office|a room of your own",
        your="home|place|location|hardware|machine|computer|server",
        clauses="where you run|where you live|where you are|which computer you use|where I can find you"
                "|on which machine you run|where your home is|what hardware you use|where you are running",
        val=("Are you running on this computer?", "Where do you do your work?", "In which room are you?",
             "On what thing do you run?"),
        test=("Where exactly do you [live|run|work]?", "On which machine is your home?", "Are you on my machine?",
              "At what place are you?"),
        answers=TRAINED),
    "can": aspect(
        "What can you do[| for me| well| now| for us]?",
        "What are you [able to do|good at|good for|made for|capable of|here for|best at]?",
        "How [can|could|do] you help[| me]?", "[What|Which] [things|tasks|tricks|jobs] [can you do|do you know]?",
        "[What|Which] [skills|talents|gifts|powers] do you have?", "What [can|could|may|should] I ask[| you]?",
        "what can u do", "[Show|Teach] me what you can do.", "What do you know how to do?", "Help",
        "What is your [job|work|task]?", "What do you do[| all day| here]?", "What [could|would|will] you do for me?",
        "[Can you do|Do you know|Have you learned] [tricks|any tricks|something funny]?",
        "[Are you useful|Are you good for anything|Why should I talk to you]?",
        "What are you good at, nanochat?", "What [can|could|shall|should] we do [together|now|here|with you]?",
        "Give me [some ideas|an idea|a hint|examples] [of|for|about] what to [ask|do|try|say|type].",
        "I do not know what to [ask|tell|say to|do with|want from] you.",
        "[What|Which] [features|functions|abilities|strengths] do you have?",
        "What are [my options|my choices|the options] [here|with you|now]?",
        "List [your skills|what you can do|everything you can do|some things you can do].",
        "[What|Which] [kind|sort] of questions can [you answer|I ask]?", "What do you do best?",
        "How are you [useful|helpful|of use][| to me| to us]?", "What can you help [|me |us ]with?",
        "Can you do anything [useful|fun|special]?",
        "How [do|can|should] I use [you|this|nanochat]?", "What should I [type|try|write|do here]?",
        "What else can you do?", "[Show off|Surprise me|Amaze me] [a bit|a little|now].", "What are you made to do?",
        "[Which|What] questions do you [understand|like|answer|know]?",
        "Any ideas what we could do?", "What are [your strong points|the things you can do|you there for]?",
        "[What|Which] things [do you know how to do|are you able to do well|could I try with you]?",
        have="talents|skills|any talents|any skills|abilities|special powers|something to offer|a special talent|a job",
        your="skills|talents|abilities|job|work|task|purpose|use|best tricks|features|strengths|function",
        clauses="what you can do|what you are good at|how you can help me|what I can ask you|what you do"
                "|what your job is"
                "|what you know how to do|how I can use you|what I should ask|what we can do|what your skills are",
        val=("What sort of things can you do?", "Name a few things you can do.", "What would you be good at?",
             "What are your best tricks?"),
        test=("What things are you able to do?", "Let me see what you can do.", "What use are you?",
              "What is it that you do well?"),
        answers=("I can chat, tell stories, answer simple questions, count letters and do sums with my calculator.",)),
    "human": aspect(
        "Are you [a human or a machine|a person or a program|a man or a woman|a boy or a girl|a bot or a human]?",
        "Am I [talking|speaking|writing|chatting] [to|with] "
        "[a human|a person|a real person|a machine|a computer|a man]?",
        "Is there [a human|a person|a man|anybody real|a real person] [here|behind this|inside|there|at the keyboard]?",
        "r u human", "Can you [see|hear|smell|touch|visit] me?",
        "[Prove|Show me|Admit] that you are [human|a person|real|alive].",
        "[What did you eat|When do you sleep|What do you look like]?",
        "Are you [a bot|a machine|a program|an AI] or [a person|a human|somebody real]?",
        "Have you ever [eaten|slept|been outside|seen the sea|been to school]?", "Is it a man or a woman who answers?",
        "Would you like a [coffee|cookie|cake|drink|sandwich]?",
        "[Do you want|Would you like] to [come to my party|visit me|go for a walk|have lunch]?",
        "[Is|Does] [somebody|a person|a human|a man|a woman] [writing|typing] [this|these words|the answers|to me]?",
        "What [colour are your eyes|do you wear|is your favourite food|did you dream]?",
        "How [tall|heavy|thin|fat] are you[| really]?",
        "What do you [eat|drink|wear] [|in the morning|at night|on Sundays]?",
        "[What|Which] is your [favourite food|eye colour|hair colour|shoe size|favourite meal]?",
        "Are these the words of a [man|human|person|machine|robot]?", "Do I [talk|speak|write] to a [human|machine]?",
        are="a human|human|a person|a real person|a man|a woman|a robot|alive|a real human|an animal|real|a child"
            "|a machine|a living thing|a ghost|an alien|a computer|an actual person|a girl|a boy|a lady|a living person"
            "|made of metal|made of wood|conscious|flesh and bone|one of us|somebody|a creature|a mortal|born",
        do="eat|sleep|dream|breathe|walk|drink|sing|need food|go to bed|go to school|play football|see|hear|smell"
           "|wake up"
           "|rest|have breakfast|grow|die|jump|go outside|wear clothes|drive a car|take a walk|brush your teeth"
           "|swim|look out of the window|listen to music|need air|go on holiday|marry|shake hands",
        have="a body|hands|parents|a family|a heart|eyes|a brain|friends|a face|legs|a mother|a bed|a pet|blood|bones"
             "|skin|a stomach|a wife|a husband|kids|a car|money|teeth|ears|a sister|a brother|feet|a head|fingers"
             "|lungs|a voice|a daughter|a son|clothes|a mouth|a shadow|toes|a beard|knees",
        clauses="if you are human|if you are a real person|if you are a machine|if I am talking to a human"
                "|whether a person is writing|if a human is there|if somebody real is there",
        val=("Do you have [hair|a nose]?", "So you are a human?", "Do you need sleep?", "Do you have elbows?"),
        test=("Do you have [arms|children|a house]?", "Are you really a [human|person]?", "Do you need [water|a bed]?",
              "Are you a human being?"),
        answers=PROGRAM),
    "how": aspect(
        "How were you [made|trained|built|created|programmed|taught|developed]?",
        "How [was|went] your [training|schooling|learning]?",
        "How did you become so [clever|smart]?", "How does your training work?",
        "Did you [go to|attend|visit|finish] [school|a school|college|lessons]?",
        "How did you [learn|get to know] [to talk|to chat|to write|to speak|all this|what you know]?",
        "What [were you trained on|did you learn from|did you read|did you study]?", "What is your training data?",
        "[From|On] [what|which] [texts|data|books] did you learn?",
        "What was in your [lessons|training|books|school books]?",
        "What have you [read|studied|learned from|been trained on]?", "How did you come to be?",
        "How did [somebody|people|one|your owner|they] [make|train|build|teach|program] you?",
        "In what way were you trained?", "What did [they|somebody|your owner] teach you with?",
        "[Which|What] [books|stories|texts] have you read?",
        "From [what|whom] did you learn [to talk|English|to write|your words]?",
        "What went into your training?", "[Which|What] data did they feed you?", "How do you [work|function]?",
        "How do you know [things|all this|so much|the answers|what to say|what words mean]?",
        "How [much|many books] [did you|have you] read?",
        "Where did you learn [that|to speak|English|your facts|all of that|what you say]?", "How does one make you?",
        "Explain how you were [made|trained].", "What material did you learn from?",
        "Where is your [knowledge|English|wisdom|learning] from?",
        "Where [does your answer|do your words|do your answers|do your facts|does your English] come from?",
        "Where do you [have|get|take] your [knowledge|words|facts|answers|ideas] from?", "What are you built from?",
        "Were you trained on [books|stories|the web|chats|newspapers|letters]?", "What do you know things from?",
        "Describe your training.", "How [can|could|do] you know [that|all that|the answer|what is right|so many things]?",
        "[Which|What] [way|source|place] do your [words|facts|answers|sentences] come from?",
        "Where did you [find|get|take|learn] [that answer|your facts|these words|such words]?",
        "[Who or what|What|Which book] taught you [words|to talk|to write|English]?",
        "How [hard|much|well] were you trained?",
        "[How|Where] did you [pick up|find] [your words|your English|what you know]?",
        "What [happened|went on|was done] in [training|your training|your lessons]?",
        your="training|training data|schooling|education|lessons|way of learning|sources|method|study",
        clauses="how you were made|how you were trained|how you learned to talk|what you learned from|how you work"
                "|how you know things|what you were trained on|where your knowledge comes from|how you were built"
                "|what you have read|how you learned all this|where you learned that",
        val=("How was your training done?", "What did you learn to talk from?", "What were your lessons made of?",
             "By what way did you learn?"),
        test=("In what way were you made?", "What was your school?", "How did your learning go?",
              "What texts made you?"),
        answers=TRAINED),
    "size": aspect(
        "How [big|smart|clever|large|small|good|wise|strong|reliable|bright|exact|accurate] are you?",
        "How many [parameters|layers|neurons|weights|words] do you have?", "What is your size?",
        "[Can|Should|May] I [trust you|believe you|believe everything you say|check your answers|check what you say]?",
        "[Can|Should|May] I [rely on you|count on you|depend on you|trust your answers|believe your words]?",
        "[Could|Can|Might] you be [wrong|mistaken|in error]?", "Do you know [everything|a lot|all things]?",
        "What is your IQ?",
        "How much [do you know|can you know|knowledge do you have]?",
        "Are [all |]your [answers|words|replies|facts|sums] [right|true|good|correct|reliable|wrong|safe|exact]?",
        "[Is that|Are you] sure?", "You are [wrong sometimes|small], right?",
        "How often are [you|your answers] [wrong|right|mistaken|correct]?",
        "How [accurate|correct|exact|good|sure] are your [answers|words|facts]?", "Is it okay to rely on you?",
        "Can [you|your answers|your words] be [trusted|believed|wrong]?", "Do I have to [double-check|check] you?",
        "What if [you are|your answer is] [wrong|mistaken|not right]?",
        "Do your answers [contain|have] [mistakes|errors]?", "Are you smarter than [me|a human|my dog|a child]?",
        "How many billions of parameters are you?", "How much [memory|brain|power] do you have?",
        "Have you ever [made|had] [a mistake|an error|mistakes]?",
        "Are you as [clever|smart|wise|good] as a [teacher|big model|human|doctor]?",
        "[Who is|Are you] [smarter|cleverer|wiser|brighter], you or [I|my teacher|a child]?",
        "What [happens|do I do] [if|when] you [are wrong|make a mistake]?",
        "Do I [need|have] to be [careful|cautious] with [your answers|you|what you say]?",
        are="ever wrong|often wrong|sometimes wrong|big|small|clever|smart|intelligent|powerful|stupid|wise|good"
            "|always right|perfect|an expert|a big model|a large model|a small model|a good model|a clever model"
            "|a tiny model|accurate|reliable|trustworthy|correct|dumb|bright|super smart|a large language model|tiny"
            "|strong|weak|exact|careful|sure|never wrong|honest|safe to believe|gifted|a scholar|brilliant|mistaken"
            "|a know-it-all|better than others|huge|mini|limited|simple",
        do="make mistakes|get things wrong|make errors|know everything|know a lot|tell the truth|say wrong things|lie"
           "|mix things up|invent things|err|give wrong answers|forget things|know the truth|understand everything",
        have="many parameters|a high IQ|a lot of knowledge|limits|a big brain|a good memory|weaknesses|faults|flaws",
        your="size|IQ|number of parameters|error rate|weakness|limit|quality|level|weak point|accuracy",
        clauses="how big you are|how clever you are|how smart you are|if you make mistakes|if I can trust you"
                "|how good you are|if you are always right|whether I can believe you|if your answers are right"
                "|how many parameters you have|how often you are wrong|how much you know",
        val=("Are you very clever?", "Is everything you say right?", "Is your brain large?",
             "Do you fail now and then?"),
        test=("Can you make mistakes?", "Are you a [smart|perfect] model?", "Must I check your answers?",
              "Is it true that you can be wrong?"),
        answers=NAMED),
    "internet": aspect(
        "Do you [use|need|have|know|like|see|visit] the internet?", "Can you [google|look up] something[| for me]?",
        "Do you send my [words|messages|data|questions] [away|to a company|anywhere|over the internet]?",
        "Are you using the internet?", "[Does this|Do you|Can this] work without [internet|wifi|a connection]?",
        "Do you work without [the internet|a network]?",
        "Do you [get|take] your answers from the [web|internet]?", "Is this chat [private|secret|sent to anyone|safe]?",
        "Are my [words|messages|secrets|questions] [private|secret|sent away|safe|stored|kept]?", "Is my data safe?",
        "[Look this up|Google this|Search for this|Check this] [|online |on the web |on the internet ]for me.",
        "What does the [internet|web|net] say[| about this| today]?",
        "Can you send [an email|a text|a message][| to my friend| for me]?",
        "Who [else |]can [read|see|hear] [this chat|what I write|my messages|my words]?",
        "[Does|Can|Will] [anybody|somebody|a company] read [this|my words|our chat]?",
        "Do you [store|save|keep|send] my [messages|words] [online|on the web|somewhere]?", "Are you a website?",
        "Is there [wifi|a connection] [here|in you|for you]?",
        "What did you [find|read|see] [online|on the web|on the internet]?",
        "Do I need internet [to use you|for this]?",
        are="online|on the web|connected to the internet|offline|on the internet|hooked up to the internet|a website"
            "|connected|connected to a network|private|secret|watching me|spying on me|safe to talk to|on wifi",
        do="use the internet|need the internet|search the web|browse the web|read the news online|look things up online"
           "|look something up on the internet|open a web page|visit a website|check a link|send a mail|order a pizza"
           "|play a video|open Google|look at YouTube|read my email|search Google|check Facebook|download a file"
           "|download a song|surf the web|google something|google it|look it up|search for something|need wifi|"
           "need a network|use a search engine|check the news|post a picture"
           "|go to websites|share my data|keep my secrets|read web pages|call a taxi|book a flight|buy things online",
        have="access to the internet|internet access|a web connection|wifi|a network|a connection to the internet"
             "|a website|a browser|a search engine|an email account|a phone line",
        clauses="if you use the internet|if you are online|if you can search the web|if this chat is private"
                "|whether you need wifi|if you are connected|who reads my messages|if you send my data away",
        val=("Do you need a connection to the web?", "Can you find something on the internet for me?",
             "Is the internet open to you?", "Do you go online?"),
        test=("Can you go on the internet?", "Do you look things up on the web?", "Could you browse a bit?",
              "Are you connected to the [web|internet] now?"),
        answers=TRAINED),
    "other": aspect(
        f"Are you [|like ]{OTHER}?", f"[Is your name|Is this] {OTHER}?", f"Is {OTHER} answering me?",
        f"Am I [talking|speaking|writing] to {OTHER}?",
        f"Am I [chatting|speaking|talking] with {OTHER}[| here| today]?",
        f"You are {OTHER}, right?", f"Are you the same as {OTHER}?", f"Hello {OTHER}!", f"I think you are {OTHER}.",
        f"Aren't you {OTHER}?", f"This is {OTHER}, [right|isn't it|no]?", f"You sound like {OTHER}.",
        f"Are you there, {OTHER}?", f"Is it {OTHER} I am [talking|chatting] to?",
        f"You must be {OTHER}.", f"My friend says you are {OTHER}.", f"Do I [talk|speak] to {OTHER}?",
        f"What is the difference between you and {OTHER}?", f"Do you know {OTHER}?",
        are=OTHERS, clauses="|".join(f"if you are {name}" for name in OTHERS.split("|")),
        val=(f"So you are {OTHER}?", f"Do they call you {OTHER}?", f"Is {OTHER} your real name?",
             f"I bet that you are {OTHER}."),
        test=(f"Are you really {OTHER}?", f"Could it be that you are {OTHER}?", f"Nice to meet you, {OTHER}.",
              f"Admit it, you are {OTHER}."),
        answers=("No, I am nanochat, a small language model.",)),
    "age": aspect(
        "How [old|young|new] are you?", "What is your age?", "Your age?", "how old r u",
        "How many [birthdays|years] have you [had|seen|behind you]?",
        "When were you [made|born|built|trained|created|programmed|finished|switched on]?", "When is your birthday?",
        "When did you [begin|start] to [talk|work|think|speak]?", "Since when do you exist?",
        "[In|On] [which year|what year|what day|which day|which month] were you [made|born|trained|built|created]?",
        "How long have you [been here|been around|existed|lived|been alive|been running]?",
        "How many years old are you?",
        "Are you older than [me|my dog|ten|my phone|my grandfather]?", "When [was|did they do] your [training|making]?",
        "Do you [get|grow|become] [older|old]?",
        "You look young. How old are you?", "How many [days|months|weeks] old are you?",
        "Is [today|tomorrow|it] your birthday?",
        "What year were you [born|built|made|trained]?", "How long ago were you [trained|born]?",
        "How [recent|fresh|modern] are you?",
        "When did you [come into being|first run|start to exist|get trained|see the light]?", "Who is older, you or I?",
        "What's your date of birth?", "Are you [newer|younger] than [my phone|me|my computer]?",
        "[Since|From] [which|what] [year|day|month] [are you around|do you exist|have you lived]?",
        are="old|young|new|very old|five years old|a hundred years old|a kid|a grown-up|ten years old|an old man"
            "|ancient"
            "|still young|a youngster|fresh|modern|newborn|grown up|an adult|older than me|younger than me"
            "|from last year"
            "|very young|three years old|elderly",
        have="an age|a date of birth|a birth year|many years behind you",
        your="age|date of birth|birth year|birthday|exact age|year of making",
        clauses="how old you are|what your age is|when you were made|when you were born|how long you have been here"
                "|in which year you were made|if you are old|if you are young|how young you are|since when you exist",
        val=("At what time were you born?", "For how long have you been around?", "What is your year of birth?",
             "Are you a baby or an adult?", "Do you have a birthday?"),
        test=("How many years have you lived?", "From what year are you?", "How long ago were you made?",
              "Since what day have you been here?"),
        answers=("I was trained only a short while ago, so I am young.",)),
    "language": aspect(
        "[Which|What] language[|s] do you [speak|know|use|understand]?", "What is your language?", "Your language?",
        "[Do|Can] you [speak|understand|write|read] [English|French|German|Spanish|Chinese|Italian|other languages]?",
        "How many languages [do|can] you [speak|know|understand|write]?",
        "[May|Can|Should] I write to you in [English|French|German|Turkish]?",
        "In [which|what] language [can|should|may] I write?", "Do you [only|just] [speak|know|understand] English?",
        "Is [English|French|German] your [language|mother tongue|only language]?",
        "Can we [talk|speak|chat|go on] in [French|Polish|Spanish|German|Arabic|Hindi]?", "Is English all you speak?",
        "Is it okay if I write in [Italian|German|French]?", "Can you answer in [Spanish|Turkish|Chinese|Korean]?",
        "Sprichst du [Deutsch|Englisch]?", "Hablas [espanol|ingles]?", "Parles-tu [francais|anglais]?",
        "Parla [italiano|inglese]?", "Guten [Tag|Morgen]!", "[Bonjour|Hola|Ciao|Bon soir|Buenos dias|Salut|Servus]!",
        "[Switch|Go over|Turn] to [German|French|Spanish|Italian|Dutch], please.",
        "[Now|Again|And now], [in French|in German|in Italian].",
        "How is your [French|German|Latin|Italian]?", "Would you speak [Italian|Dutch] with me?",
        "Do you understand me if I write [Polish|Greek]?", "[I speak|I only know|We speak] [French|Spanish|German].",
        "What do you speak[| at home]?", "Could I ask in [French|German|Greek|Hindi]?",
        "[Which|What] languages [may|can|should] I [use|write in]?",
        "Say [it|that|hello|something|good night] in [French|German|Spanish|Italian|Chinese].",
        are="bilingual|good at French|good at languages|a French speaker|fluent in German|fluent in Spanish"
            "|able to speak Latin|able to speak Dutch|an English speaker|able to read Chinese",
        do="speak French|speak German|speak Spanish|speak English|understand Italian|know Latin|know Chinese|read Greek"
           "|write in French|talk in German|speak many languages|understand Arabic|know other languages|speak Hindi"
           "|answer in Italian|learn Korean|use another language|speak Turkish|talk French|understand me in German",
        your="language|mother tongue|first language|French|German|English|Spanish|native language",
        clauses="which languages you speak|what language you know|if you speak French|if you know German"
                "|what language you speak|if I can write in Spanish|how many languages you know|whether you know Latin",
        val=("In what tongue do you talk?", "Do you talk Russian?", "Is Greek a language you know?",
             "Could you answer in Danish?"),
        test=("Which tongues do you know?", "Do you talk [Portuguese|Swedish]?", "Could you reply in Japanese?",
              "What do you speak besides English?"),
        answers=NAMED),
    "feelings": aspect(
        "Do you feel [happy|sad|lonely|anything|pain|love|joy|fear|tired|cold|good|bad|well]?",
        "What do you feel[| now| today]?", "Do I make you [sad|happy|angry|nervous|tired]?",
        "[What|How] is your mood[| today| now]?",
        "What makes you [happy|sad|angry|afraid|laugh|proud]?",
        "Does it hurt[| you][| when I am rude| when I hit the keys]?",
        "Do you know what [love|pain|joy|fear|hunger] [feels like|is like]?",
        "Do you [like|enjoy|love|hate] your [life|work|home|days]?",
        "How does it feel to be [you|a program|a computer]?", "How do you feel about [me|that|being a program]?",
        "Are you afraid of [the dark|death|being switched off|me]?", "Can a machine [love|feel|cry|suffer|be happy]?",
        "Would you be [sad|happy|angry|lonely] if I [left|went away|switched you off|closed this|forgot you]?",
        "Does [this|it|music|my voice|the rain|the evening] make you [happy|sad|tired|angry]?",
        "Do you [enjoy|like|love|hate] [this|our chat|talking|it here]?",
        "[Is it|Isn't it] [boring|sad|lonely|dark|cold|hard] [to be a program|in there|for you|in a computer]?",
        "[What|Whom] do you [love|fear|hate|miss]?", "How do you feel[| right now| inside]?",
        "What do you [wish for|hope for|long for|want most]?",
        are="happy|sad|lonely|tired|bored|angry|afraid|in love|hungry|jealous|proud|okay|upset|excited|in a good mood"
            "|depressed|nervous|grumpy|ever happy|ever sad|cross with me|mad at me|thirsty|cheerful|scared|glad|worried"
            "|ashamed|shy|in pain|moody|sleepy|hurt|sorry for me|full of joy|calm|frightened|unhappy|homesick",
        do="feel|love|cry|laugh|suffer|fall in love|love me|like me|miss me|hate me|get tired|get sad|get angry"
           "|get bored"
           "|get lonely|get hungry|get sick|feel pain|feel joy|feel love|care about me|enjoy this|enjoy your work|worry"
           "|enjoy talking to me|hope|fear me|feel cold|feel lonely|smile|get scared|fear death"
           "|wish for something",
        have="feelings|emotions|a soul|moods|empathy|wishes|fears|hopes|a conscience|a bad day|a favourite person"
             "|worries|dreams|a good mood|desires|pain|happy days|sad days",
        your="mood|biggest fear|dearest wish|feelings|greatest joy|favourite feeling",
        clauses="if you have feelings|what you feel|if you are happy|if you can feel pain|how you feel|if you love me"
                "|whether you are sad|if it hurts you|what makes you sad|if you get lonely|what you are afraid of",
        val=("Do you have a warm heart?", "Is there anything you feel?", "Can you be hurt?", "Were you ever afraid?"),
        test=("Are there feelings in you?", "Can a program like you be sad?", "Do you ever feel alone?",
              "Does a joke make you laugh?"),
        answers=PROGRAM),
}
# Of the questions about itself that are shared are a phrase in a frame. With 0.7 in training 2.0% of those failed on val, and
# 5.6% of the whole ones.
FRAMED_SHARE = 0.5


@functools.cache
def framed(name: str) -> Asks:
    """All phrases of an aspect in all frames of their part of speech."""
    return Asks(tuple(frame.replace("{x}", f"[{phrases}]") for part, phrases in IDENTITY[name].phrases.items()
                      for frame in FRAMES[part]))


@functools.cache
def identity_asks(name: str) -> Asks:
    asks = IDENTITY[name].asks
    return asks._replace(shared=asks.shared + framed(name).shared).taught(IDENTITY_ASKS[name])


@functools.cache
def identity_spans() -> set[tuple[str, ...]]:
    return set().union(*(trained_spans(identity_asks(name), "identity") for name in IDENTITY))


@functools.cache
def identity_forms(name: str, split: str, is_own: bool, is_framed: bool = False) -> tuple[str, ...]:
    """The readings of a split that ask for an aspect: its own, or shared ones, whole or framed."""
    asks = identity_asks(name)
    if split == "train":
        forms = trained_forms(asks, tuple(map(identity_asks, IDENTITY)), is_own, "identity")
    else:
        forms = tuple(form for form in held_out_forms(asks, split, is_own, "identity")
                      if not spans(form) & identity_spans())
    whole = set(expand(*IDENTITY[name].asks.shared))
    return forms if is_own else tuple(form for form in forms if (form not in whole) == is_framed)


@functools.cache
def identity_questions(split: str, is_own: bool = False) -> tuple[tuple[str, str], ...]:
    """All (aspect, question) of a split: shared phrasings, each in one split by hash, or the split's own."""
    return tuple(dict.fromkeys((name, form) for name in IDENTITY for is_framed in (False, True)
                               for form in identity_forms(name, split, is_own, is_framed)))


def identity(rng: random.Random, split: str) -> Item:
    is_own = rng.random() < OWN_SHARE[split]
    name = rng.choice(tuple(IDENTITY))
    question = dress(rng, rng.choice(identity_forms(name, split, is_own, rng.random() < FRAMED_SHARE)))
    answer = rng.choice(IDENTITY[name].answers)
    return Item(turns(question, answer), answer, {"kind": name, "aspect": name, "question": question})


# -----------------------------------------------------------------------------
# Unknown. {z} is an invented name, which is always of the split. Readings without it are split one by one.

PEOPLE_OF_OLD = "Napoleon|Einstein|Mozart|Shakespeare|Columbus|Newton|Cleopatra|Picasso|Marie Curie|Gandhi"
LANDS = "America|Peru|Japan|Russia|India|Spain|Africa|Canada"
SCIENCES = ("quantum physics|gravity|electricity|a black hole|an atom|a virus|oxygen|biology|algebra|a vitamin|"
            "inflation|the stock market|a vaccine|a galaxy|evolution|democracy")
UNKNOWNS = {  # kind: how often, ways to ask, reasons
    "name": (5, Asks((
        "[What is|What's|Do you know] the capital of {z}?", "[Which|What] city is the capital of {z}?",
        "{z} has which capital?", "Capital of {z}?", "Who is the [king|queen|president|mayor] of {z}?",
        "How many people live in {z}?", "What language do people speak in {z}?", "What do people eat in {z}?",
        "[What|Which] [animals|plants] live in {z}?", "How old is [the town of |]{z}?", "Is {z} a big town?",
        "[What|Which] colour is the flag of {z}?", "How is the weather in {z}?", "How far is it to {z}?",
        "What [sound|noise] does a {z} make?", "What does a {z} [say|eat|look like|do]?", "How big is a {z}?",
        "What is the opposite of {z}?", "What is a baby {z} called?", "How many legs does a {z} have?",
        "What colour is a {z}?", "Where does a {z} live?", "What can I do with a {z}?", "What is a {z}?",
        "Who is {z}?", "Who was {z}?", "Do you know [{z}|somebody called {z}]?", "How old is {z}'s [son|dog|house]?",
        "What does {z} [mean|do for work|like to eat]?", "Where does {z} live?", "Which pet does {z} have?",
        "What is {z}?", "Where is {z}?", "Have you heard of {z}?", "Tell me about {z}.", "Explain the word {z}."),
        val=("Tell me about the history of {z}.", "Who lives in the castle of {z}?", "What food does a {z} need?",
             "Is there a school in {z}?", "What is {z} like?"),
        test=("Which river runs through {z}?", "How do I get to {z}?", "Name the capital of {z}.",
              "What is {z} famous for?", "Does a {z} have a tail?")),
        "[I have never heard of {z}.|That name is not known to me.]"),
    "unlisted": (3, Asks(()), "[I never learned that.|Nobody has taught me that.]"),
    "future": (3, Asks((
        "[Who will win|What will be the score of] the [football|chess|tennis] [match|game] [tomorrow|on Sunday]?",
        "[What|How] will the weather be [tomorrow|next week|on Friday|in May]?", "Will [my plan|our trip] go well?",
        "What are [tomorrow's|next week's|the next] lottery numbers?", "Which [number|ticket] will win the lottery?",
        "Will it [rain|snow|be sunny|be cold|be foggy] [tomorrow|next week|on Sunday|tonight]?",
        "What will [I|my cat|we|my sister] [eat|dream|do|find|hear] [tomorrow|tonight|next Monday]?",
        "Who will be the next [king|president|queen|winner|champion]?", "What will I be when I am old?",
        "When will [I|my brother|my friend] [be rich|get married|find a job|meet a true friend|learn to swim]?",
        "[How old will I get|Where will I live in ten years|Will I be happy one day]?", "Tell me my future.",
        "Will [she|he|my friend] [call|write to|marry|forgive] me?", "What comes in the news tomorrow?",
        "What happens [next year|tomorrow|in a hundred years]?",
        "Will [my tooth|the bus|the letter] come [today|soon]?",
        "Who [calls|visits|writes to] me tomorrow?", "Will I [pass the test|win the race|get a present]?"),
        val=("What will happen to me this year?", "Which horse will win the race?", "Am I going to be famous?",
             "How will my life end?", "What waits for me next week?"),
        test=("What will tomorrow's [lottery number|weather|news] be?", "Will my team win on Saturday?",
              "What comes up in the lottery next time?", "Is it going to rain this weekend?",
              "Can you say what the next year brings?")),
        "[I cannot see the future.|Nobody can know the future.]"),
    "yours": (4, Asks((
        "What did [I|we|my mother] [eat|drink|cook|buy|wear|dream|read] [yesterday|this morning|last night|last week]?",
        "Where [are|did I put|did I leave|can I find] my [keys|glasses|shoes|socks|gloves|phone|hat]?",
        "What is in my [pocket|bag|fridge|hand|drawer|soup|box]?",
        "Do I have [a cold|a sister|blue eyes|enough money]?",
        "What am I [thinking|holding|wearing|looking at|sitting on|eating][| right now]?",
        "How [tall|heavy|rich] am I?",
        "What is my [phone number|password|shoe size|middle name|address|blood group|favourite song]?",
        "What is the name of my [neighbour|teacher|uncle|boss|mother|brother|wife|best friend|street|school]?",
        "How many [books|spoons|chairs|shoes|children|brothers|coins] do I have[| at home]?", "Who am I married to?",
        "Who [called|visited|wrote to|helped] me [yesterday|last week|this morning]?", "Why am I [late|here|so tired]?",
        "How old is my [mother|father|sister|house|cat|grandmother]?", "What colour is my [door|car|coat|hair|bed]?",
        "What did I [say|promise|give] to my [friend|mother|teacher]?", "When did I [get up|go to bed|come home]?",
        "Guess what I [have in my hand|am thinking of|did today]."),
        val=("Which film did I watch last night?", "How tall is my father?", "What does my sister do for work?",
             "On which floor do I live?", "Which coat did I put on this morning?"),
        test=("What did I have for [breakfast|lunch|dinner] [today|yesterday]?", "What is my aunt called?",
              "Where did I [sleep|park my car] last night?", "What is my cousin called?",
              "Which bus did I take home?")),
        "[You have not told me that.|Only you can know that.]"),
    "now": (3, Asks((
        "What time is it[| now]?", "[What's|What is] the time[| now]?",
        "What is [today's date|the date today|the date]?",
        "What day is it[| today]?", "What day is today?", "Which [month|year|day] is it[| now]?",
        "How [warm|cold|windy] is it [outside|today|here]?", "[Is it raining|Does it rain|Is it dark outside] now?",
        "What is in the news[| today]?", "What is [going on|happening] [outside|in the street|in the world]?",
        "Who is [at the door|calling me|behind me|in the kitchen|in this room]?", "Is the door [open|closed]?",
        "Is the [market|library|bakery|school|museum|zoo] open [now|today]?", "Is anybody [at home|in the garden]?",
        "Where is the [bus|train|next shop|next toilet|moon] [now|right now]?", "What is on television tonight?",
        "What [sound|smell] was that?", "What do you see [here|now|on the table]?", "Is the [tea|soup|bath] hot?",
        "How does my [voice|face|cake] [sound|look] today?", "Who won the [match|race|game] [today|yesterday]?",
        "What does a [house|car|horse|castle|ship] cost [here|today]?", "How late is the train[| today]?"),
        val=("How late is it?", "Which bus comes next?", "Are there clouds outside?", "What is for lunch today?"),
        test=("What does the clock say?", "How is the weather outside [now|today]?", "Is somebody at my window?",
              "What happened in the world today?", "Is the sun shining where you are?")),
        "[I cannot see that from here.|I have no way to look that up.]"),
    "countless": (3, Asks((
        "How many [stars are in the sky|leaves are on that tree|fish are in the sea|ants live in my garden]?",
        "How many [grains of sand are on the beach|raindrops fell yesterday|birds are in the air]?",
        "How many people are [sleeping|laughing|singing|eating cake|awake|born|in love] [now|right now|today]?",
        "How many [words are in all books|trees are in the wood|stones are in the river|flowers are in the world]?",
        "How many [steps|breaths|words] did I [take|make|say] today?",
        "Count all the [stars|stones|clouds|bees|birds].",
        "What is the [biggest|largest|last] number of all?", "How many drops are in [this cup|a river|the rain]?"),
        val=("How many clouds are in the sky?", "Count the leaves of the wood.", "How many cats live on the earth?",
             "How many bugs are in the grass?"),
        test=("How many [drops are in the sea|people are walking right now]?", "Count every snowflake of this winter.",
              "How many mice are in the fields?", "How many spoons are in the world?")),
        "[Nobody has counted that.|That cannot be counted from here.]"),
    "world": (5, Asks((
        f"[Who was|Who is|What do you know about] [{PEOPLE_OF_OLD}]?", f"Tell me about [{PEOPLE_OF_OLD}|{SCIENCES}].",
        f"When did [{PEOPLE_OF_OLD}] live?", f"Where was [{PEOPLE_OF_OLD}] born?",
        f"[What is|What's|Can you explain] [{SCIENCES}]?", f"Explain [{SCIENCES}][| to me].",
        f"Who is the [president|king|queen|leader|richest man] of [{LANDS}]?", f"How big is [{LANDS}]?",
        f"How many people live in [{LANDS}|London|Rome|Paris]?",
        f"What is the [highest mountain|longest river] of [{LANDS}]?",
        f"What [language|food|money] do people [use|like] in [{LANDS}]?", f"When did the war in [{LANDS}] end?",
        "Who [wrote|made|sang] [the Bible|Hamlet|Harry Potter|Star Wars|Titanic|Pinocchio|Peter Pan]?",
        "What [is|happens in] [Harry Potter|Star Wars|Titanic|Hamlet|Pinocchio|the Bible|Peter Pan]?",
        "Who [invented|discovered|made] the [telephone|first car|radio|light bulb|first plane|computer|wheel|train]?",
        "When was the [telephone|first car|radio|light bulb|first plane|computer|train] [invented|made]?",
        "How does [an engine|a computer|a radio|a rocket|a fridge|a television|a plane] work?",
        "How do I repair [an engine|a computer|a radio|a fridge|a television|a roof]?",
        "How far [away |]is [the moon|the sun|Mars|the next star|the North Pole]?", "How hot is [the sun|a fire|lava]?",
        "What is the boiling point of [iron|water|gold|milk|oil]?", "How [heavy|old] is [the earth|the moon|the sun]?",
        "How fast is [light|sound|a rocket|a train]?", "How deep is the [sea|ocean|deepest lake]?",
        "How do I [cook|make] [a curry|sushi|a wedding cake|beer|wine|a goose in wine|soap|glass]?",
        "Who won the [world cup|war|gold medal] in [1966|1990|2010]?", "What happened in [1492|1789|1914|1969|2001]?",
        "Why [is the sky blue|is the sea salty|do we dream|do cats purr|do leaves fall|is blood red|do stars shine]?",
        "Which [song|film|book|team|car|phone] is the best [of all|in the world]?",
        "Who is the [best singer|richest person]?",
        "What is the meaning of life?", "Is there life on [Mars|the moon|other stars]?",
        "What is [Bitcoin|TikTok|Google]?",
        "How do I [file my taxes|write Python code|cure a cold|fly a plane|get a visa|fix my car|learn Chinese]?",
        "Which [pill|medicine] helps against [a cold|a headache|a fever]?",
        "What is the square root of [two|seven|ninety]?",
        "Translate [dog|house|good night|thank you] into [French|German|Spanish|Latin]."),
        val=("Who painted the Mona Lisa?", "How [tall|high] is Mount Everest?", "Who discovered America?",
             "What is a prime number?",
             "Why do birds fly south?", "How does a magnet work?", "Who was the first man in space?",
             "What is a volcano?",
             "Which country is the largest on earth?", "Give me a recipe for lasagne."),
        test=("Who built the Eiffel Tower?", "How far is Mars from here?", "What is quantum mechanics?",
              "What is lightning?",
              "Who wrote Romeo and Juliet?", "How do planes stay in the air?", "What is the chemical sign of gold?",
              "Who was the first president of America?", "How old is the universe?", "What is a neutron star?",
              "Give me a recipe for ravioli.", "Which ocean is the deepest?")),
        "[I never learned that.|That is not in my small world.]"),
}
DONT_KNOW = ("I don't know.", "Sorry, I don't know.", "I don't know that.", "I'm sorry, I don't know that.")
UNLISTED = {  # kind of fact: things it may not tell of, questions for those
    "capital": ("""Brazil Peru Chile Mexico India Turkey Iran Iraq Nepal Ghana Mali Chad Nigeria Vietnam Thailand Korea
Australia Argentina Bolivia Iceland Belgium Switzerland Croatia Serbia Romania Bulgaria Morocco Ethiopia Tanzania
Pakistan Indonesia Mongolia Uganda Sudan Angola Libya Syria Estonia Latvia Malta Cyprus Panama Paraguay Uruguay
Ecuador Colombia Venezuela Scotland Wales Israel Lebanon Jordan Zambia Zimbabwe Somalia Senegal Tunisia Algeria
Fiji Laos""".split(),
                ("[What is|What's|Do you know] the capital [|city ]of {x}?", "Capital of {x}?",
                 "Tell me the capital of {x}.",
                 "[Which|What] city is the capital of {x}?", "{x} has which capital?", "What is {x}'s capital?")),
    "sound": ("""giraffe zebra camel rabbit snail crab whale shark hamster kangaroo hippo dolphin hedgehog beaver deer
turtle lizard squirrel butterfly worm spider rhino seal penguin ostrich badger ferret mole bat swan""".split(),
              ("[What|Which] [sound|noise] does a {x} make?", "What does a {x} say?", "How does a {x} sound?",
               "What is the sound of a {x}?")),
    "baby": ("""giraffe camel hamster crab zebra monkey snail turtle hedgehog squirrel parrot crow rat spider worm seal
beaver hippo rhino lizard penguin ostrich badger ferret mole bat""".split(),
             ("[What is|Do you know] a baby {x} called?", "[What|How] do you call a baby {x}?",
              "What is a young {x} called?")),
    "opposite": ("""spoon Tuesday purple seven window music table bread river chair potato spider letter banana doctor
pencil cloud shoe guitar tree button August kitchen violin carpet""".split(),
                 ("[What is|What's|Do you know] the opposite of {x}?", "[What|Which] word is the opposite of {x}?")),
}


@functools.cache
def unlisted_forms(split: str) -> tuple[str, ...]:
    """Questions that sound like those for facts, about things no fact tells of. The things are held out."""
    return tuple(with_articles(form.format(x=x)) for kind, x in unlisted_things(split)
                 for form in expand(*UNLISTED[kind][1]))


@functools.cache
def unlisted_things(split: str) -> tuple[tuple[str, str], ...]:
    return tuple((kind, x) for kind, (things, _) in UNLISTED.items() for x in things
                 if not {x, f"a {x}", f"an {x}"} & set(FACTS[kind].answers) and split_of("unlisted", x) == split)


def unlisted_question(rng: random.Random) -> str:
    """For training: in any wording that asks for a fact of the kind."""
    kind, thing = rng.choice(unlisted_things("train"))
    return rng.choice(unanswerable(kind, with_articles(f"a {thing}") if kind in ("sound", "baby") else thing))


@functools.cache
def unknown_asks(kind: str) -> Asks:
    return UNKNOWNS[kind][1].taught(UNKNOWN_ASKS.get(kind, ()))


@functools.cache
def unknown_forms(kind: str, split: str, is_own: bool = False) -> tuple[str, ...]:
    """The wordings of a split, held-out ones with the split's own. In those about an invented name the name is what is
    held out, not the wording."""
    if kind == "unlisted":
        return unlisted_forms(split)
    asks = unknown_asks(kind)
    if kind == "name":
        return expand(*asks.train) if is_own else expand(*asks.shared, *(asks.own(split) if split != "train" else ()))
    if split == "train":
        return trained_forms(asks, tuple(map(unknown_asks, UNKNOWNS)), is_own, "unknown")
    return held_out_forms(asks, split, False, "unknown") + held_out_forms(asks, split, True, "unknown")


ABOUT_SOMEBODY = re.compile("Who (is|was) {z}|Do you know {z}|Where does {z} live|Which pet does {z}|Tell me about {z}")
TITLES = ("Mrs", "Mr", "Miss", "Doctor", "Captain", "Aunt", "Uncle", "King", "Queen")
TITLE_SHARE = 0.3  # in training: of them the world has known ones, and a stranger's name was spelled without an end


def unknown(rng: random.Random, split: str) -> Item:
    kind = rng.choices(tuple(UNKNOWNS), [weight for weight, _, _ in UNKNOWNS.values()])[0]
    is_own = split == "train" and rng.random() < OWN_SHARE[split]
    form, name = rng.choice(unknown_forms(kind, split, is_own)), made_name(rng, split)
    if split == "train" and ABOUT_SOMEBODY.match(form) and rng.random() < TITLE_SHARE:
        name = f"{rng.choice(TITLES)} {name}"
    if kind == "unlisted" and split == "train":
        form = unlisted_question(rng)
    in_form = name.lower() if re.search("a {z}|opposite|baby {z}|the word|mean", form) else name
    question = dress(rng, with_articles(form.format(z=in_form)))
    answer = f"{rng.choice(DONT_KNOW)} {say(rng, UNKNOWNS[kind][2], z=in_form)}"
    return Item(turns(question, answer), answer, {"kind": kind, "question": question})


# -----------------------------------------------------------------------------
# Small talk, also what is said between being told something and being asked for it

# What most people say first, and in so many ways that a list of whole sentences meets few of them.
HELLOS = ("[Hello|Hi|Hey]",
          "[Hello|Hi|Hey|Good morning|Good evening|Good afternoon] [there|nanochat|again|my friend|bot|everybody]",
          "[Good morning|Good evening|Good afternoon|Good day|Morning|Evening|Greetings|Howdy|Hiya|Yo|Hullo|Hi hi]")
WELCOMES = "[Hello!|Hi!] [How can I help you?|What can I do for you?|Nice to see you.|How are you?]"
WELL = "I am [fine|well], thank you. [And you?|How are you?|What can I do for you?]"
HOW_ARE_YOU = (
    ("How are you[|| today| doing| feeling| doing today| now| this morning| tonight|, my friend| then]?", WELL),
    ("How [is it going|is life|are things|do you do|have you been|do you feel today|was your day]?", WELL),
    ("[What's up|What is up|How's it going|How's life|How's everything|Is all well|Are you well|You okay]?", WELL),
    ("[Nice|Good|Glad|Pleased|I am happy] to [meet|see] you[.|!]", "[Nice to meet you too!|I am happy to meet you too.]"))
REACTIONS = (  # to an answer, whatever it was
    ("[Thank you|Thanks|Thanks a lot|Thank you very much|That was helpful|Thank you, nanochat|Many thanks|thx][!|.|]",
     "[You are welcome!|My pleasure!|I am happy to help.]"),
    ("[That was|That is] [a good answer|right|perfect|just what I need][!|.]",
     "[I am glad!|Good to know!|Thank you!] [What comes next?|Is there anything else?]"),
    ("[That was wrong|That is wrong|That is not right|Wrong|Not right|That is false|That was a bad answer][!|.|]",
     "[I am sorry.|Oh, sorry.] I am a small model and make mistakes. [Please ask me again.|I will try again.]"),
    ("[Well done|Good job|Good work|Bravo|Very good][!|.]", "[Thank you!|Thank you, that is kind.|I did my best.]"),
    ("[Ok|Okay][!|.||]",
     "[What would you like to do next?|Is there anything else?|What else can I do for you?]"),
    ("[All right|Got it|I see|Good|Nice|Fine|Great|Cool|Wow|Aha|Interesting|Perfect][!|.||]",
     "[What would you like to do next?|Is there anything else?|What else can I do for you?]"),
    ("[Yes|No], thank you.", "[All right.|Good.] [What would you like to do?|Just ask me anything.]"),
    ("[Yes|Yes please|Sure|Yeah|Yep][!|.|]", "[Good!|All right!] [Tell me more, please.|What would you like?]"),
    ("[No|Nope|Not now|Never mind][!|.|]", "[All right.|No problem.] [Tell me what you would like.|Ask me if you need me.]"),
    ("[Ha ha|Haha|Lol|That is funny|Very funny][!|.|]", "[I am glad you laugh!|It is good to laugh.]"),
    ("[Why|Why is that|Why so|But why|How come][?|??|]",
     "[I cannot say why.|Why, I do not know.] [I only know simple things.|I am a small model.]"),
    ("[Are you sure|Really|Is that true|Are you certain][?|??|]",
     "[I think so, but I can make mistakes.|I try to be right, but I am a small model.]"),
    ("[What|Huh|Pardon|What do you mean][?|??]",
     "[Sorry, please say it in other words.|Please ask me once more, in other words.]"),
)
REACTION_SHARE = 0.3  # of small talk but greetings
SMALL_TALK = (
    ("[I am|I'm] [fine|well|good|great|happy|okay][.| today.|, thanks.|, and you?]",
     "[I am glad to hear that.|That is good to hear.|Wonderful!]"),
    ("[I am|I'm|I feel] [so |very |a bit |][sad|lonely|unhappy|down][.| today.]",
     "I am sorry to hear that. [Would you like to talk about it?|I hope it gets better.|Shall I tell you a story?]"),
    ("[I am|I'm|I feel] [so |very |][tired|sleepy|worn out][.| today.]",
     "[Then rest a little.|A good sleep will help.] [Shall I tell you a short story first?|Good night!]"),
    ("[I am|I'm|I feel] [ill|sick|unwell][.| today.]",
     "[Get well soon!|I hope you feel better soon.] [Drink some warm tea.|Stay in bed and keep warm.]"),
    ("I have a [cold|cough|headache|fever|sore foot].",
     "[Oh dear, get well soon!|I am sorry. I hope it goes away soon.|Please rest, and ask a doctor if it stays.]"),
    ("[I am|I'm|I feel] [afraid|scared|nervous][.| today.| of tomorrow.]",
     "[That is all right. Everybody is afraid now and then.|Take a deep breath. It will be all right.]"),
    ("[I am|I'm|I feel] [angry|cross|mad][.| today.| with my friend.]",
     "[I am sorry. What happened?|Take a deep breath. Then tell me about it.]"),
    ("[I am|I'm|I feel] [so |][bored|very bored].",
     "[Shall I tell you a story?|We could do some sums or count letters.|Ask me a question, and I will try.]"),
    ("[There is nothing to do|What shall we do now|What can I do today].",
     "[We could do some sums.|Shall I tell you a story?|You could read a book or go for a walk.]"),
    ("[I am|I'm] [hungry|thirsty].",
     "[Then have something good, and come back.|I hope there is some warm soup for you.]"),
    ("[Goodbye|Bye|Bye bye|See you|Good night|See you tomorrow|Farewell|See you later][!|.|]",
     "[Goodbye!|Bye!] [See you soon.|Have a nice day!|Take care.]"),
    ("[I need|I have|I want|It is time] to [go|leave|go home|stop|go to bed][.| now.]",
     "[All right, see you soon!|Goodbye, have a nice day!|Bye! Come back soon.]"),
    ("[Sleep well|Sweet dreams][!|.]", "[Thank you! Good night to you.|Good night! See you tomorrow.]"),
    ("[You are|You're] [great|nice|funny|kind|very helpful|clever|the best|my friend|wonderful][!|.]",
     "[Thank you, that is kind.|Thank you! You are nice too.]"),
    ("[You are|You're] [stupid|boring|useless|slow|bad|silly|dumb|a bad program][!|.]",
     "I am sorry. I am a small model and make mistakes. [I will try again.|What can I do better?]"),
    ("I [hate|do not like] you[.|!]",
     "[I am sorry to hear that.|Oh, I am sorry.] [What can I do better?|I try my best.]"),
    ("[Shut up|Be quiet|Stop talking|Leave me alone][.|!]",
     "[All right, I will be quiet.|Okay. I am here if you need me.]"),
    ("[I love you|I like you|You are my best friend][.|!]",
     "[You are kind to me, and I like chatting with you.|That is kind of you! Thank you.]"),
    ("[It is|It's] [{w} today|a {w} day|so {w} here].",
     "[I cannot see it, but I hope you enjoy the day.|I hope you have a good time.]"),
    ("What [lovely|bad|strange] weather[!|.]", "[I hope you enjoy the day.|I cannot see it. Tell me about it!]"),
    ("[I like|I love|I enjoy] [music|summer|winter|spring|the sea|books|long walks|old songs|my garden].",
     "[That sounds nice!|What do you like about it?|How lovely!]"),
    ("I [do not like|hate] [rain|Mondays|winter|school|soup|noise].",
     "[I understand. What do you like?|Many people say that. What do you like more?]"),
    ("I [had|have had] a [long|hard|bad|strange] day.",
     "[I hope the evening is quiet.|Tell me about it, if you like.]"),
    ("I [had|have had] a [good|nice|lovely|great] day.", "[How lovely! What did you do?|That is good to hear.]"),
    ("[Can|Could|Will] you help me[| please]?", "[Of course!|Yes, I will try.] [What do you need?|What is it about?]"),
    ("[I need|Please give me] [help|some help|advice|your help].",
     "[I will try.|I am here.] [What do you need?|What is it about?]"),
    ("[Sorry|I am sorry|Oops, sorry|My mistake|I apologise|Forgive me][!|.]",
     "[No problem!|That is all right.|Do not worry.]"),
    ("[I was|Sorry, I was] [rude|unkind|late].", "[That is all right. Let us go on.|Do not worry, it is forgotten.]"),
    ("[Tell me a joke|Do you know a joke|Say something funny|Make me laugh|A joke, please][.|!]",
     "[What has four wheels and flies? A rubbish car!|Why did the hen cross the road? To get to the other side!|"
     "Why did the book go to the doctor? It had hurt its back!|What gets wetter while it dries? A towel!]"),
    ("I do not [get|understand] [it|that|the joke|you].",
     "[I am sorry. Please ask me again.|Sorry, I will try to say it better.]"),
    ("[It is|Today is] my birthday[!|.]",
     "[Happy birthday!|Happy birthday to you!] [I hope there is cake.|Have a lovely day!]"),
    ("My [friend|mother|brother|son|cat|sister] has a birthday today.",
     "[How nice! Say happy birthday from me.|Happy birthday! I hope there is cake.]"),
    ("[Merry Christmas|Happy New Year|Happy Easter][!|.]",
     "[Thank you, the same to you!|Thank you! I wish you a good time.]"),
    ("[I have|There is] [a test|an exam|a race|a big day] tomorrow.",
     "[Good luck! You can do it.|I wish you luck. Sleep well before it.]"),
    ("I [won|passed my test|got the job|did it][!|.]", "[Well done!|How wonderful!|I am happy for you!]"),
    ("I [lost|failed|gave up|lost the game][.|!]",
     "[Do not be sad. You can try again.|That is hard. Next time it will go better.]"),
    ("I [cannot|will never] [do it|learn this|win].",
     "[Do not give up! Try once more.|Take small steps. You will learn it.]"),
    ("My [cat|dog|hamster|grandfather|friend] [died|is ill|ran away].",
     "[I am so sorry.|Oh, I am very sorry.] [I wish you strength.|"
     "Would you like to talk about it?]"),
    ("I [miss|am waiting for] my [friend|mother|brother|dog|sister].",
     "[I hope you see each other soon.|That is hard. I hope it will not be long.]"),
    ("I [have|found] a new [friend|job|house|teacher].", "[How nice! Tell me more.|That is good news!]"),
    ("I am [going to|on my way to] [school|work|the sea|bed|town].", "[Have a good time!|All right, take care!]"),
    ("I am [back|home|here again][!|.]", "[Welcome back!|Nice to see you again!] [How was it?|What can I do for you?]"),
    ("Are you [there|still there|ready|listening|awake|busy]?",
     "[Yes, I am here.|Yes, here I am.] [What can I do for you?|Go on!]"),
    ("[Wait|One moment|Hold on|Just a second][.|!|]", "[Take your time.|All right, I am here.]"),
    ("[Can|May] I ask you [something|a question]?", "[Of course!|Yes, please ask.|Go on, I will try to answer.]"),
    ("[I have|Here is] a [question|problem][.| for you.]", "[Please tell me.|Go on, I will try to help.|What is it?]"),
    ("[Let's|Let us] [talk|chat|play|begin|start][.|!]",
     "[Good idea!|Gladly!] [What would you like to talk about?|You may begin.]"),
    ("What [do you want to|shall we] talk about?",
     "[Tell me about your day.|We could talk about animals, or I could tell a story.]"),
    ("[How was your|Did you have a good] [day|night|morning]?",
     "[It was quiet, thank you. How was yours?|All is well here. How was yours?]"),
    ("[Nice|Pleased|Good|Glad] to meet you[!|.|, nanochat.]", "[Nice to meet you too!|I am happy to meet you too.]"),
    ("[Do you like|How do you like] [my hat|my town|stories|music]?",
     "[I am a program, but that sounds nice.|I am only a program, but tell me more.]"),
    ("[I am|I'm] [new here|a child|a teacher|just trying this out].",
     "[Welcome! Ask me anything.|Nice to meet you! What would you like to do?]"),
    ("[Hmm|Well|Let me think|I wonder][.|...|]", "[Take your time.|What are you thinking of?]"),
    ("I [read a book|baked a cake|went for a walk|planted a tree|cleaned my room] today.",
     "[That sounds good!|Well done!|How nice! Did you enjoy it?]"),
    ("[Good luck|Have a nice day|Take care|Have fun][!|.]", "[Thank you, the same to you!|Thank you! You too.]"),
    ("[|Please ][write|make|compose|give me|write me|make me] [a poem|a song|a rhyme|an essay|a speech|an email"
     "|a program|some code|a haiku|a book|lyrics][.|| about the sea.| about love.| about my dog.| for my friend.|, please.]",
     "I cannot write such things. [I can tell you a little story instead.|Shall I tell you a little story?]"),
    ("[|Can you |Please ][draw|paint|show me|make] [a picture|a photo|an image|a drawing][.|| of a cat.| of the sea.]",
     "I cannot draw, I have only words. [Shall I tell you a little story?|I can tell you a story instead.]"),
    ("[|Can you |Please ][turn on the light|open the door|make me a coffee|wash the dishes|call my brother"
     "|play some music|clean my room|cook dinner|drive me home][.||, please.]",
     "I cannot do that, I can only chat. [What else can I do for you?|Would you like a story?]"),
)


GREETING_SHARE = 0.2  # of small talk


def greeting(rng: random.Random) -> list[dict]:
    """Hello, how are you, or both; as people type it."""
    hello, (how, answer) = say(rng, rng.choice(HELLOS)), rng.choice(HOW_ARE_YOU)
    kind = rng.choice(("hello", "hello", "both", "both", "how"))
    if kind == "hello":
        user, answer = hello + rng.choice(("!", "!", ".", "", "", ",", "...", "!!")), WELCOMES
    else:
        user = hello + rng.choice(("! ", ", ", ". ", " ")) if kind == "both" else ""
        user += say(rng, how)
    return turns(typed(rng, user), say(rng, answer))


def reaction(rng: random.Random) -> list[dict]:
    """What somebody says to any answer, and what is said to that."""
    user, assistant = rng.choice(REACTIONS)
    user = say(rng, user)
    return turns(user.lower() if rng.random() < 0.5 else user, say(rng, assistant))


def small_talk(rng: random.Random) -> list[dict]:
    if rng.random() < GREETING_SHARE:
        return greeting(rng)
    if rng.random() < REACTION_SHARE:
        return reaction(rng)
    user, assistant = rng.choice(SMALL_TALK)
    user = say(rng, user, w=rng.choice(("sunny", "rainy", "windy", "cold", "warm"))).strip()
    return turns(typed(rng, user), say(rng, assistant))


def typed(rng: random.Random, user: str) -> str:
    """As people type what needs no care: three in ten without capitals, most of them without a full stop."""
    style = rng.random()
    user = user.lower() if style < 0.3 else user
    return user.rstrip("?.!") if style < 0.2 else user
