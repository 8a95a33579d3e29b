"""The annexes of the hall: what :class:`ctxkit.kit.Kit` does with the rooms, one file per concern.

Only these and ``kit.py`` know several rooms. What a room needs of a neighbour is handed to it here.
"""
