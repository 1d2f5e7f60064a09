"""What is learnt from: asks and groups, rewards, advantages, and what may go wrong with them."""
