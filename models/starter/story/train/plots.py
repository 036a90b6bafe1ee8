"""The plots: what happens in a story, step by step; data only.

A plot is a title, a request, a moral list and its steps; each step is a tuple of interchangeable sentences, or the name of
one of the shared pattern groups in ``phrases.py``. Slots are those of ``grammar.py``.
"""

from typing import NamedTuple


class Plot(NamedTuple):
    """One kind of story."""

    titles: tuple[str, ...]
    request: str
    morals: tuple[str, ...]
    steps: tuple[tuple[str, ...] | str, ...]


LOST = Plot(
    ("The {kind_cap} and the Lost {thing_title}", "{name}'s {thing_title}"),
    "{a_kind} who lost {a_thing}",
    ("a friend is worth more than any treasure", "what is lost can be found again", "it is wise to ask for help"),
    (
        (
            "{hero} could not find {his} {thing}.",
            "{hero} woke up and saw that {his} {thing} was gone.",
            "{hero} reached for {his} {thing}, but it was not there.",
            "the wind took {his} {thing} and carried it away.",
        ),
        "FEELINGS_LOW",
        (
            "{He} looked [under the bed|behind the door|in every corner], but the {thing} was not there.",
            "{He} searched {place} from one end to the other, but found nothing.",
            "{He} asked [the birds|the wind|every neighbor], but nobody had seen the {thing}.",
        ),
        "MEETINGS",
        "QUESTIONS",
        ('"I have lost my {thing}," said {hero}.', '"My {thing} is gone," {hero} [said|answered|whispered].'),
        "OFFERS",
        (
            "Together they went to {place2} and looked {spot}.",
            "They walked to {place2}, and {friend} looked {spot}.",
            "They followed [small tracks|a trail of crumbs|the sound of the wind] to {place2}.",
        ),
        (
            "There, {spot}, was the {thing}!",
            "And what did they see {spot}? It was the {thing}!",
            'Something was shining {spot}. "My {thing}!" cried {hero}.',
        ),
        "THANKS",
        "FEELINGS_HIGH",
    ),
)
FEAR = Plot(
    ("The {kind_cap} Who Was Afraid", "Brave {name}", "{name} and the Big Fear"),
    "{a_kind} who was afraid of {fear}",
    ("being brave means trying even when you are afraid", "fear grows small when you look at it", "courage begins with one step"),
    (
        (
            "{hero} heard a sound and began to shake. {He} was afraid of {fear}.",
            "{hero} hid under the bed, because {he} was afraid of {fear}.",
        ),
        (
            "The others [laughed|did not understand], and {he} felt ashamed.",
            '"I wish I were brave," {he} whispered.',
            "{He} told nobody about it.",
        ),
        "MEETINGS",
        "QUESTIONS",
        ('"I am afraid of {fear}," said {hero} in a small voice.', '"It is {fear}," said {hero}. "I am so afraid of it."'),
        (
            '"I was afraid too, when I was young," said {friend}. "Take my hand."',
            '"Everyone is afraid of something," said {friend}. "I am afraid of [spiders|ghosts|mice]."',
            '"Close your eyes and breathe," said {friend}. "Now open them again."',
        ),
        ("Then came {fear_event}.", "Soon there was {fear_event}, and there was no time to hide."),
        (
            "{Hero} took a deep breath.",
            "{Hero} wanted to run, but {he} stayed.",
            "{His} legs were shaking, but {he} did not turn back.",
        ),
        ("{He} {fear_deed}.", "Slowly, {he} {fear_deed}."),
        ('"You did it!" cried {friend}.', '"Look at you!" said {friend}. "You are the bravest {kind} I know."'),
        "FEELINGS_HIGH",
    ),
)
SKILL = Plot(
    ("How {name} Learned {skill_title}", "The {kind_cap} Who Wanted {skill_title}"),
    "{a_kind} who wanted {skill}",
    ("practice makes everything easier", "nobody is good at the first try", "patience is the best teacher"),
    (
        ("{hero} decided that {he} wanted {skill}.", '{hero} saw {a_kind3} at {place} and thought, "I want {skill} too!"'),
        ("{He} tried once, and it went wrong.", "The first try was a disaster.", "{He} tried all morning, but it did not work."),
        (
            "{He} tried again, and it went wrong again.",
            '"It is too hard for {a_kind}," {he} [said|sighed].',
            "The {kind3} laughed at {him}.",
        ),
        "FEELINGS_LOW",
        "MEETINGS",
        "QUESTIONS",
        ('"I want {skill}, but I cannot do it," said {hero}.', '"I will never learn {skill}," said {hero}.'),
        (
            '"You cannot do it yet," said {friend}. "Yet is a good word."',
            '"I fell down a hundred times," said {friend}. "Then I stopped falling."',
        ),
        "OFFERS",
        (
            "So they practiced every day, in sun and in rain.",
            "For seven days they practiced near {place2}.",
            "Day after day, {hero} tried, and {friend} helped.",
        ),
        ("And one {weather} morning it worked!", "At last, {he} could do it!", "Then, all at once, it was easy."),
        "FEELINGS_HIGH",
        "THANKS",
    ),
)
SHARE = Plot(
    ("The {kind_cap} Who Would Not Share", "{name} and the {food_title}"),
    "{a_kind} who did not want to share",
    ("sharing makes everything taste better", "a full table needs friends", "what you give comes back to you"),
    (
        ("{hero} made a great deal of {food}.", "{hero} found a big basket full of {food} near {place}."),
        (
            '"It is all mine," {he} said, and locked the door.',
            "{He} wanted to eat it all alone.",
            "{He} hid it where nobody could find it.",
        ),
        "MEETINGS",
        (
            '"I am so hungry," said {friend}. "May I have a little {food}?"',
            '"That smells good," said {friend}. "Will you share your {food} with me?"',
        ),
        ('"No," said {hero}. "Go away."', '"There is not enough," said {hero}, but it was not true.'),
        ("{Friend} went away without a word.", "{Friend} looked at the ground and walked away slowly."),
        (
            "{Hero} ate and ate, but the {food} did not taste good.",
            "That night {hero} had a [stomach ache|bad dream] and felt very lonely.",
        ),
        ('"I was wrong," {he} said to {himself}.', "In the morning {hero} knew what {he} had to do."),
        (
            "{He} ran to {place2} and found {friend} there.",
            "{He} put the rest in a basket and looked for {friend} until {he} found {him2}.",
        ),
        ('"I am sorry," said {hero}. "Please eat with me."', '"Forgive me," said {hero}. "Half of it is yours."'),
        ('{Friend} smiled. "It is good that you came," {he2} said.', '"Of course I forgive you," said {friend}.'),
        ("They ate together, and it was the best {food} in the world.", "They shared the {food}, and now it tasted wonderful."),
    ),
)
BUILD = Plot(
    ("{name} Builds {build_title}", "The {kind_cap} and {build_title}"),
    "{a_kind} who built {build}",
    ("many hands make light work", "a mistake is only a first try", "it is better to build together than alone"),
    (
        ("{hero} had a plan. {He} wanted to build {build}.", '{hero} said, "Today I will build {build}!"'),
        ("{He} gathered [wood|stones|rope and nails] near {place}.", "{He} drew a plan in the [sand|mud|snow]."),
        (
            "But when it was almost done, it [fell down|broke in two|rolled away].",
            "But the wind blew, and everything fell apart.",
        ),
        "FEELINGS_LOW",
        "MEETINGS",
        "QUESTIONS",
        ('"I wanted to build {build}, and now it is broken," said {hero}.', '"I cannot do it alone," said {hero}.'),
        "OFFERS",
        (
            "{Friend} held the [rope|wood|plan] while {hero} worked.",
            "They worked from morning to evening.",
            "{Hero} cut, and {friend} carried.",
        ),
        (
            "When the sun went down, it was ready.",
            "At the end of the day they stood back and looked. It was perfect.",
            "This time it did not fall.",
        ),
        ('"It is the finest one at {place}," said {friend}.', '"We made it together," said {hero}.'),
        "FEELINGS_HIGH",
    ),
)
WAY_HOME = Plot(
    ("The Long Way Home", "{name} Is Lost", "The {kind_cap} in the Fog"),
    "{a_kind} who could not find the way home",
    ("home is where somebody waits for you", "a stranger can become a friend", "even a long road ends"),
    (
        ("{hero} went too far from home and lost the way.", "{hero} followed a butterfly past {place} and did not look back."),
        (
            "Soon the trees all looked the same.",
            "Fog came down, and {he} could not see the path.",
            "It grew late, and the sky turned gray.",
        ),
        ('"Hello?" {he} called, but nobody answered.', "{He} called for {his} mother, but only the wind answered."),
        "FEELINGS_LOW",
        "MEETINGS",
        "QUESTIONS",
        ('"I cannot find my way home," said {hero}.', '"I am lost," said {hero}. "I live {home}."'),
        (
            '"I know that place," said {friend}. "It is past {place2}."',
            '"I can see it from [the hill|the tall tree]," said {friend}.',
        ),
        "OFFERS",
        (
            "They walked past {place2} and over the hill.",
            "They walked and [sang|talked] all the way.",
            "{Friend} carried {a_thing3} to light the path.",
        ),
        ("At last {hero} saw a [light|window|chimney] {he} knew.", '"There it is!" cried {hero}. "I am home!"'),
        ("{His} mother ran out and held {him} tight.", "The door opened, and the kitchen smelled of {food}."),
        "THANKS",
    ),
)
TRUTH = Plot(
    ("The Broken {thing_title}", "{name} Tells the Truth"),
    "{a_kind} who broke {a_thing}",
    ("the truth is lighter than a lie", "a good friend forgives", "it is better to say sorry than to hide"),
    (
        (
            "{hero} was playing with {a_thing} that belonged to {name2} the {kind2}.",
            "{hero} borrowed {a_thing} from {name2} the {kind2}.",
        ),
        (
            "It slipped and broke.",
            "{He} dropped it near {place}, and it broke in two.",
            "There was a loud crack. The {thing} was broken.",
        ),
        ("{He} hid it {spot}.", "{He} looked around. Nobody had seen it, so {he} hid it {spot}."),
        ('"Have you seen my {thing}?" asked {friend} the next day.', 'Soon {friend} came. "Where is my {thing}?" {he2} asked.'),
        ('"No," said {hero}, and {his} face grew hot.', '"I do not know," said {hero}, and looked at the ground.'),
        ("That night {hero} could not sleep.", "The lie felt like a stone in {his} stomach."),
        (
            "In the morning {he} went to {friend} and told the truth.",
            'At last {he} could not bear it. "I broke it," {he} said. "I am sorry."',
        ),
        ("{Friend} was quiet for a while.", "{Friend} looked at the pieces."),
        (
            '"Thank you for telling me," {he2} said. "A {thing} can be mended."',
            '"I am sad, but I am glad you told me," said {friend}.',
        ),
        ("They mended it together with [glue|thread|string].", "{Hero} worked all week to make a new one."),
        "FEELINGS_HIGH",
    ),
)
GARDEN = Plot(
    ("The {seed_cap} Seed", "{name}'s Garden", "The {kind_cap} and the {seed_cap} Seed"),
    "{a_kind} who planted a {seed} seed",
    ("good things take time", "love makes things grow", "the best things come to those who wait"),
    (
        ("{hero} found a {seed} seed {spot}.", "{name2} the {kind2} gave {hero} a {seed} seed."),
        ("{He} planted it near {place} and gave it water.", "{He} made a hole in the ground and put it in with care."),
        ("The next day {he} looked, but there was nothing to see.", "{He} waited for a week, but nothing grew."),
        (
            '"Grow!" {he} shouted, but the seed did not listen.',
            '"Maybe it is a bad seed," {he} said.',
            "{Hero} wanted to dig it up.",
        ),
        ('"Wait," said {name2} the {kind2}. "A seed needs time."', '"It is sleeping," said {name2} the {kind2}. "Sing to it."'),
        ("So {hero} waited, and sang, and gave it water.", "So they sat beside it every evening and told it stories."),
        ("Rain came, and then the sun.", "The days grew warm.", "Spring came to {place}."),
        ("One {weather} morning there was a tiny green leaf!", "Then something green came out of the ground!"),
        ("It grew and grew until it was taller than {hero}.", "By summer it was the most beautiful {seed} of all."),
        ('"You were right, {name2}," said {hero}.', '"It was worth it," said {friend}, and {hero} agreed.'),
        "FEELINGS_HIGH",
    ),
)
LONELY = Plot(
    ("A Friend for {name}", "The Lonely {kind_cap}", "{name} and {name2}"),
    "{a_kind} who wanted a friend",
    ("a friend may be closer than you think", "you only have to say hello", "friends do not have to be the same"),
    (
        ("{hero} watched the others play near {place}, but nobody asked {him} to join.", "{hero} had nobody to play with."),
        "FEELINGS_LOW",
        (
            "{He} wrote a letter and put it {spot}.",
            "{He} talked to [a cloud|the moon|a stone], but it did not answer.",
            "{He} drew a friend in the sand.",
        ),
        "MEETINGS",
        (
            '"May I play with you?" asked {friend}.',
            '"I have nobody to play with," said {friend}.',
            '"I am new here," said {friend}.',
        ),
        ("{Hero} could not believe it.", '{Hero} was shy, but {he} said, "Yes, please!"', '"I have nobody either," said {hero}.'),
        ('"But you are {a_kind2}, and I am {a_kind}," said {hero}.', '"What shall we do?" asked {hero}.'),
        (
            '"That does not matter," said {friend}.',
            '"Let us go to {place2}," said {friend}.',
            '"We can make {food}," said {friend}.',
        ),
        (
            "They played with the {thing} all day.",
            "They ran to {place2} and back again.",
            "They shared {food} and told each other secrets.",
        ),
        ('"Will you come again tomorrow?" asked {hero}.', '"It is late," said {friend}, "but I will come again."'),
        ('"Of course," said {friend}. "Tomorrow, and every day."', "And the next day {friend} was there again."),
        "FEELINGS_HIGH",
    ),
)
STORM = Plot(
    ("The Great Storm", "{name} and the Storm", "The Night of the Storm"),
    "{a_kind} who helped a friend in a storm",
    ("we are strong when we stand together", "a kind deed is never lost", "there is always room for one more"),
    (
        ("black clouds came over {place}.", "the wind began to howl and rain fell on {place}."),
        (
            "{Hero} closed the windows and lit a [candle|fire].",
            "Inside, {hero} was warm and safe.",
            "{Hero} pulled the blanket over {his} ears.",
        ),
        ("Then came a knock at the door.", "Then {he} heard somebody cry for help.", "Suddenly there was a sound outside."),
        ("It was {name2} the {kind2}, wet and cold.", "There stood {name2}, {a_trait2} {kind2}, shaking with cold."),
        (
            '"My home is gone," said {friend}.',
            '"The river took my house," said {friend}.',
            '"A tree fell on my roof," said {friend}.',
        ),
        ('"Come in," said {hero}. "There is room for two."', '{Hero} did not wait. "Come in quickly!" {he} said.'),
        ("{He} gave {friend} a dry blanket and some {food}.", "They sat by the fire and ate {food}."),
        ("All night the storm roared, but they were not afraid.", "They told stories until the storm was over."),
        ("In the morning the sky was clear.", "When the sun came up, the world was quiet."),
        ('"Now we will build your house again," said {hero}.', "All the neighbors came to help {friend}."),
        "THANKS",
    ),
)
PLOTS = (LOST, FEAR, SKILL, SHARE, BUILD, WAY_HOME, TRUTH, GARDEN, LONELY, STORM)
