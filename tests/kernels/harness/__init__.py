"""Kernel sources on the host: the same text, compiled by g++ with sanitizers, threads of a block as fibres.

Reported   accesses outside arrays, shared, local and constant memory; misaligned vectors; signed overflow and wrong
           shifts; barriers and shuffles that threads reach differently or not at all; shuffles from lanes that take
           no part; values nobody wrote (they are NaNs, or -1); results that depend on the order of threads or blocks;
           launches and arguments that do not fit the kernel
As CuPy    floats below the smallest normal number are zeros in kernels for floats
Stricter   no thread may leave a kernel while others still wait; memory beside a view of an array is out of bounds;
than CUDA  one __shared__ variable a declaration, inside a function; shuffles take 4 or 8 bytes
Not seen   speed, registers, textures, streams, PTX; races between two blocks or warps that both orders of execution
           happen to hide; blocks that wait for blocks started later (they run one after another); products and sums
           rounded once together; rounding of functions, which are libm's here (estimates are as bad as they may be)
"""
