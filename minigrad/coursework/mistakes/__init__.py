"""Mistakes that students make, each an edit of the model's text, with the sentence that helps: a table for each exercise.

They are what the tests plant, all of them, and what a failing solution is compared with: one whose values are exactly those of a known
mistake has made it. The order matters: the first that fits is named. A name that begins with _ is a piece of the model's text that several
mistakes edit.

    convolution.py  convolution and patches          towers.py       towers, SGD
    elementwise.py  linear, activations, the loss    functions.py    tasks.py, and the hunts
    neighbours.py   LRN, pooling, dropout            ranks.py        all-reduce
    graded.py       variants.py"""
