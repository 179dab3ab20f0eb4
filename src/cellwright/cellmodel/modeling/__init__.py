"""The parts of the network.

Suffixes of tensors: ``B`` cells, ``V`` genes of the vocabulary, ``N`` genes of one cell, ``E``
width of a gene vector, ``T`` expression tokens, ``Q`` queries, ``D`` width of the encoder, ``L``
labels, ``S`` text tokens, ``H`` width of the language model, ``Z`` latent.
"""
