"""Planes of a field that is read some at a time, counted as they come.

read = planes_read(field)    from now on; read() is how many, those that come again counted again
"""


def planes_read(field):
    stream, count = field.values.stream, [0]
    read = stream.read

    def counting(start, stop):
        count[0] += stop - start
        return read(start, stop)

    stream.read = counting
    return lambda: count[0]
