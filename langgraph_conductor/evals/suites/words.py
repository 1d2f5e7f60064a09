"""Words for generated questions: plain, of five to eight letters, none a palindrome."""

_TEXT = """
anchor apple arrow autumn bakery balcony banana basket beacon blanket border bottle branch bread bridge
bronze bucket butter button cabin camera candle canvas carpet castle cellar chalk cherry circle cliff
clock cloud coast coffee comet compass copper corner cotton cousin cradle crayon curtain dancer desert
diamond doctor dolphin donkey dragon drawer eagle engine fabric falcon farmer feather fence ferry field
finger flame flower forest fossil fountain garden garlic ginger glacier glove grape guitar hammer harbor
harvest helmet hollow honey hunter island ivory jacket jungle kettle kitchen ladder lagoon lantern lemon
letter library lizard locket lumber magnet marble market meadow melon mirror mitten monkey mountain
museum needle nickel novel ocean office olive onion orange orchard otter oyster paddle painter palace
panther paper parcel parrot pebble pencil pepper piano picnic pillow pirate planet plaza pocket potato
powder prairie pumpkin puzzle quarry rabbit radish ranger ribbon river rocket saddle sailor salmon
sandal scarf school season shadow shelter shovel silver singer sister spider spring squirrel stable
statue summer sunset table teacher temple thunder ticket tiger timber tower tractor tunnel turtle
umbrella valley vanilla velvet village violin wagon walnut water weather whistle willow window winter
wizard
"""

WORDS = tuple(_TEXT.split())
"""What a word is drawn from."""
