"""The words and sentence patterns of the stories; data only.

``{name}`` slots are filled by ``grammar.py``; ``[a|b]`` chooses one of the alternatives. A slot that begins with a capital
letter is capitalised. Everything here was written for this folder.
"""

KINDS = (
    "fox rabbit mouse bear owl hedgehog squirrel otter badger duck frog cat dog turtle goat lamb pony crow sparrow mole "
    "beaver deer pig donkey goose snail bee penguin seal whale dragon robot girl boy giant elf"
).split()
NAMES = {
    "he": "Pip Tom Oscar Finn Hugo Milo Theo Barnaby Otto Jasper Leo Rufus Ned Sami Arlo Bruno".split(),
    "she": "Mia Lily Clara Poppy Nora Ada Ruby Wren Hazel Ivy Tilda Zara Luna Mabel Elsie Rosa".split(),
}
TRAITS = "little brave shy curious clever kind proud young lazy cheerful quiet tiny gentle stubborn dreamy old".split()
HOMES = (
    "in a small house by the river|at the edge of a deep green forest|in a hollow tree on the hill|near the harbor of a busy town|"
    "under the roots of an old oak|in a cottage at the end of a long lane|on a windy farm above the sea|behind the mill in the valley|"
    "in a blue boat on the lake|in a tall tower with a red roof"
).split("|")
PLACES = (
    "the forest|the river|the old bridge|the market|the meadow|the beach|the mountain|the garden|the mill|the lighthouse|"
    "the library|the orchard|the cave|the lake|the school|the castle"
).split("|")
SPOTS = (
    "under a pile of leaves|behind a mossy stone|inside an old boot|between the roots of a tree|at the bottom of a basket|"
    "on the highest branch|beneath the bridge|beside the well|in a nest of straw|under a bed of ferns"
).split("|")
THINGS = (
    "silver bell|red kite|golden key|blue scarf|wooden boat|glass marble|music box|green hat|brass lantern|picture book|"
    "toy drum|woolen mitten|round stone|paper crown|tin whistle|map"
).split("|")
FOODS = "apple pie|honey cake|carrot soup|blueberry bread|cheese|pancakes|plum jam|nut cookies|chocolate cake|strawberries".split("|")
FEARS = {
    "the dark": "night|sat in the dark and counted the stars",
    "thunder": "the storm|listened to the thunder as if it were a drum",
    "deep water": "the flood|swam all the way across",
    "high places": "the kitten's cry|climbed up, one step at a time",
    "loud noises": "the festival|stood close to the big drums and smiled",
    "strangers": "the visitor's knock|opened the door and said hello",
}
SKILLS = "to fly a kite|to swim|to bake bread|to play the flute|to ride a bicycle|to paint|to sing|to dance|to read|to skate".split("|")
BUILDS = "a raft|a tree house|a bridge|a snowman|a windmill|a cart|a swing|a birdhouse|a tent|a sandcastle".split("|")
WEATHER = "sunny|windy|rainy|snowy|foggy|warm|cold|bright|cloudy|quiet".split("|")
SEEDS = "sunflower pumpkin bean rose melon tulip".split()

OPENINGS = (
    "Once upon a time there [was|lived] {a_trait} {kind} named {name}. {He} lived {home}.",
    "Long ago, {home}, there lived {a_trait} {kind}. {His} name was {name}.",
    "{Name} was {a_trait} {kind} who lived {home}.",
    "There was once {a_trait} {kind} called {name}, who lived {home}.",
    "{Home} lived {a_trait} {kind}. Everyone called {him} {name}.",
    "This is the story of {name}, {a_trait} {kind} who lived {home}.",
    "In a land far away lived {a_trait} {kind} named {name}. {His} home was {home}.",
    "Not so long ago, {a_trait} {kind} named {name} made a home {home}.",
)
HABITS = (
    "Every morning {he} [walked|ran|skipped] to {place} and [sang a song|looked at the clouds|counted the birds].",
    "{Hero} loved {food} more than anything.",
    "{Hero} liked to [sit|play|rest] near {place} when the day was {weather}.",
    "{He} had a [soft|warm|loud] voice and a [big|good|merry] heart.",
    "Most of all, {hero} loved the {thing} that {his} [grandmother|grandfather|mother|father] had given {him}.",
    "On {weather} days {he} [made|ate] {food} and told stories to the [birds|mice|neighbors].",
    "{Hero} had many [dreams|questions|ideas], but only one good friend, a {kind2} named {name2}.",
    "{He} was never in a hurry.",
    "{Hero} knew every path to {place}.",
    "At night {he} looked at the moon and [made a wish|hummed a tune|thought about the sea].",
)
DAYS = (
    "One {weather} [morning|day|afternoon|evening], ",
    "One day, ",
    "Then, on a {weather} [morning|afternoon], ",
    "On the first day of [spring|summer|autumn|winter], ",
    "Early one [morning|evening], ",
)
MEETINGS = (
    "Just then {a_kind2} named {name2} came [by|along|down the path].",
    "{He} met {a_kind2} at {place2}. {His2} name was {name2}.",
    "{A_kind2} called {name2} [heard|saw] {him} and stopped.",
    "Near {place2}, {hero} met {name2} the {kind2}.",
    "\"Hello,\" said a [soft|small|deep] voice. It was {name2} the {kind2}.",
    "Out of the [grass|shadows|trees] stepped {name2}, {a_trait2} {kind2}.",
)
QUESTIONS = (
    "\"What is [wrong|the matter]?\" asked {friend}.",
    "\"Why are you so sad?\" {friend} asked.",
    "\"You look [tired|worried|sad],\" said {friend}. \"Can I help?\"",
    "\"Do you need [help|a friend]?\" asked {friend} [kindly|softly|with a smile].",
)
OFFERS = (
    "\"Do not [worry|cry],\" said {friend}. \"We will do it together.\"",
    "\"Two are better than one,\" said {friend}.",
    "\"I know what to do,\" said {friend}. \"[Follow me|Come with me|Trust me].\"",
    "{Friend} thought for a [moment|while]. \"I have an idea,\" {he2} said.",
    "\"Let us try again, but slowly,\" said {friend}.",
    "\"I will stay with you,\" {friend} promised.",
)
THANKS = (
    "\"Thank you, {name2},\" said {hero}. \"[You are a good friend|I will never forget this|I could not do it alone].\"",
    "\"Thank you!\" cried {hero}, and gave {friend} a [big|warm] hug.",
    "{Hero} shared {his} {food} with {friend} to say thank you.",
    "\"How can I thank you?\" asked {hero}. \"Just be my friend,\" said {friend}.",
    "{Hero} smiled. \"Thank you for [helping|staying with|believing in] me,\" {he} said.",
)
FEELINGS_LOW = (
    "{Hero} felt [very sad|small and alone|like crying].",
    "A tear rolled down {his} [cheek|nose].",
    "{His} heart was heavy.",
    "{Hero} sat down and [sighed|cried a little|did not know what to do].",
    "\"Oh no,\" said {hero}. \"What shall I do now?\"",
)
FEELINGS_HIGH = (
    "{Hero} was so happy that {he} [danced|jumped|laughed out loud].",
    "{His} heart felt [light|warm] again.",
    "They laughed until the [stars came out|sun went down].",
    "{Hero} had never been so [proud|happy].",
    "Everyone [cheered|clapped|sang] for {hero}.",
)
ENDINGS = (
    "From that day on, {hero} and {friend} were the best of friends.",
    "That night {hero} slept [well|like a stone] and dreamed of [tomorrow|the sea|{place}].",
    "And they lived happily ever after.",
    "And that is how {hero} learned that {moral}.",
    "\"Now I know,\" said {hero}, \"that {moral}.\"",
    "After that, {hero} always remembered that {moral}.",
    "They went home together and ate {food} by the fire.",
    "And if you go to {place} on {a_weather} day, you may still see {hero} and {friend} there.",
)
