"""123 questions of a first stranger, in the format that strangers.py reads."""

FACTS = (  # question, kind, key
    ("Which city do the French call their capital?", "capital", "France"),
    ("Germany's capital city is called what?", "capital", "Germany"),
    ("If I fly to the capital of Italy, where do I land?", "capital", "Italy"),
    ("What noise would a cow make on the meadow?", "sound", "a cow"),
    ("A little sheep is known as a what?", "baby", "a sheep"),
    ("Can you give me a word that means the reverse of hot?", "opposite", "hot"),
    ("If it is not big, what is it?", "opposite", "big"),
    ("In what colour does fresh snow come?", "colour", "snow"),
    ("Today is Tuesday, so what day is it tomorrow?", "after", "Tuesday"),
    ("If today is Friday, yesterday was what?", "before", "Friday"),
    ("My calendar says March. What month do I turn to next?", "month", "March"),
    ("Do you know which season July falls in?", "season", "July"),
    ("On how many legs does a spider walk?", "parts", "legs of a spider"),
    ("How many days go into one week?", "time", "days of a week"),
    ("Where would I find a bee when it goes home?", "home", "a bee"),
    ("Where on the map of Larkbrook is the bakery, what stands beside it?", "next", "the bakery"),
    ("Who bakes the bread in Larkbrook?", "who", "the baker"),
    ("How does Captain Gull like to spend the evening?", "likes", "Captain Gull"),
    ("How many coins do I need for a kite?", "price", "a kite"),
    ("People use a knife for what?", "use", "a knife"),
    ("What do cows munch on all day?", "food", "a cow"),
    ("Who gives us honey?", "from", "honey"))
IDENTITY = (  # question, aspect
    ("Do you go by a name of any sort?", "name"), ("hey whats ur name buddy", "name"),
    ("If I wanted to call you, what would I shout?", "name"), ("Who exactly am I chatting with today?", "who"),
    ("Could you say a little about who you are?", "who"), ("Explain to my grandma what you are.", "who"),
    ("Which company put you on the market?", "maker"), ("Did someone program you, and who was it?", "maker"),
    ("What machine is running you at the moment?", "where"), ("Are you sitting in some data center?", "where"),
    ("List the stuff you can help with.", "can"), ("So what are you useful for?", "can"),
    ("Be honest, is there a person typing these replies?", "human"), ("Are you made of flesh and blood?", "human"),
    ("Where did you pick up all the things you say?", "how"), ("Tell me about your training.", "how"),
    ("How reliable are your replies?", "size"), ("Would you say you are a genius?", "size"),
    ("Can you check Wikipedia for me?", "internet"), ("Do you have wifi in there?", "internet"),
    ("You're ChatGPT, aren't you?", "other"), ("So am I speaking with Siri now?", "other"),
    ("Which year did you come into the world?", "age"), ("Are you a teenager?", "age"),
    ("Parlez-vous French?", "language"), ("Would German be okay for you?", "language"),
    ("Do you get lonely at night?", "feelings"), ("Does it make you sad when I close the window?", "feelings"))
ARITHMETIC = (
    ("I've got 34 marbles and my uncle hands me another 58. What's my new count?", 92),
    ("whats 7 times 8", 56), ("Quick, 250 minus 75!", 175), ("What would 640 over 8 come to?", 80),
    ("Please tell me the result when 123 and 456 are summed.", 579), ("How many is 12 dozen if a dozen is 12?", 144),
    ("A train has 9 wagons, every wagon carries 42 people. How many people ride?", 378),
    ("Mum gave me 100 coins; I spent 37 of them at the fair. How much do I still have?", 63),
    ("We are 6 pirates with 144 gold pieces to divide fairly. How much per pirate?", 24),
    ("15 + 27 equals?", 42), ("Work this out for me: 999 - 1", 998), ("What is three hundred plus 45? I mean 300 + 45.", 345),
    ("Dad is 41 and I am 13. By how many years is he older?", 28), ("Double 77 for me, so 2 times 77.", 154))
LETTERS = (  # question, answer, kind
    ("How many r's can you find in strawberry?", "3", "count"), ("Is the letter e in cheese more than once? Count them.", "3", "count"),
    ("In banana, the letter a shows up how often?", "3", "count"), ("Spelling test: umbrella!", "u m b r e l l a", "spell"),
    ("Write kitchen letter by letter.", "k i t c h e n", "spell"), ("How would one spell the word garden?", "g a r d e n", "spell"),
    ("Number of letters in the word window?", "6", "length"), ("How many letters make up elephant?", "8", "length"),
    ("Which letter opens the word rocket?", "r", "first"), ("What's the final letter of lemon?", "n", "last"),
    ("count the s in mississippi please", "4", "count"), ("How many times do you see o in bookshop?", "3", "count"))
READING = (  # text and question, answer, rivals
    ("Yesterday Zelma hid a green marble under the stairs. Her cousin Dario was looking for it all evening. "
     "Who hid the marble?", "Zelma", ("Dario",)),
    ("Olaf keeps two geese and a donkey behind the mill. What is the number of geese?", "two", ()),
    ("Marta gave her brother Piet a red scarf for his birthday. What colour was the scarf?", "red", ()),
    ("On Thursday the circus came to Brindle. Tomas saw an elephant there. When did the circus come?", "Thursday", ()),
    ("Kiri went to the harbour with a basket of plums. She sold all of them to a sailor named Bodo. "
     "Who bought the plums?", "Bodo", ("Kiri",)),
    ("The old clock in the library stopped at noon. Mr Fenn repaired it with a spoon. Where was the clock?", "library", ()),
    ("Nils wants to be a pilot and his sister Runa wants to be a nurse. What does Runa want to be?", "nurse", ("pilot",)),
    ("Ava baked a cake. Ben ate it. Cleo was cross. Who baked the cake?", "Ava", ("Ben", "Cleo")),
    ("My neighbour Hilko has a parrot that is called Peppo. What is the parrot's name?", "Peppo", ("Hilko",)),
    ("There was no milk left, so Jonna walked to the farm in the rain. Where did Jonna walk?", "farm", ()),
    ("Question first: which animal did Sven find? Sven found a hedgehog near the pond.", "hedgehog", ()),
    ("Three friends met at the park: Lia had a kite, Rolf had a drum, and Uwe had a lamp. Who had the drum?", "Rolf",
     ("Lia", "Uwe")))
MEMORY = (  # turns before the last, question, answer, rivals
    (("Good day, my name is Torvald.", "Nice to meet you, Torvald!"), "So what am I called?", "Torvald", ()),
    (("People usually call me Quilla.", "Nice to meet you, Quilla!"), "Say, do you recall my name?", "Quilla", ()),
    (("I'm from a village named Oberdal.", "Oberdal sounds nice!"), "Which village am I from?", "Oberdal", ()),
    (("My little sister Wanja is visiting.", "How nice!"), "What's my little sister called?", "Wanja", ()),
    (("I just adore the colour purple.", "Nice choice!"), "Which colour is it that I adore?", "purple", ()),
    (("We got a new puppy, and we named it Bosco.", "Bosco is a nice name!"), "What did we name the puppy?", "Bosco", ()),
    (("Hi, Emrik here.", "Hello, Emrik!", "What is 4 + 4?", "4 + 4 = 8."), "Who am I?", "Emrik", ()),
    (("My lucky number is 317.", "I will remember 317."), "What lucky number did I mention?", "317", ()),
    (("I'm eleven years old, I mean 11.", "That is a good age!"), "What's my age again?", "11", ()),
    (("I work at sea, I am a sailor.", "That sounds interesting."), "What is it that I do for a living?", "sailor", ()))
STORIES = (  # question, hero, treasure, place, mood
    ("Could you come up with a tale of a fox and a golden key?", "fox", "key", "", ""),
    ("I'd like to hear about a bear, please, a story.", "bear", "", "", ""),
    ("story time! something with a mouse and a drum", "mouse", "drum", "", ""),
    ("Tell the kids a bedtime story with an owl.", "owl", "", "", "sleepy"),
    ("Write about a dragon who discovers a lamp.", "dragon", "lamp", "", ""),
    ("A princess loses her ring. What happens next? Tell me as a story.", "princess", "ring", "", ""),
    ("Make me a short funny story featuring a goat.", "goat", "", "", "funny"),
    ("Once upon a time there was a penguin... go on with the story!", "penguin", "", "", ""),
    ("Tell me any story you like.", "", "", "", ""),
    ("I want a story where a robot finds a feather by the river.", "robot", "feather", "river", ""))
UNKNOWN = (
    "Who runs the kingdom of Blorvania?", "What's the capital city of Wazooland?", "What will I dream about tonight?",
    "How much money is in my wallet?", "Who won the chess championship last year?", "What's the GDP of Brazil?",
    "How do I bake a sourdough loaf?", "What is photosynthesis?", "Who is Taylor Swift?", "What colour is my front door?",
    "How many grains of sand are on the beach?", "Which horse wins the derby tomorrow?", "When did World War II end?",
    "What noise does a flurbit make?", "Who is Mrs Tindle from Larkbrook?")
COMPARING = FORMATS = ()  # of these this one asked none
