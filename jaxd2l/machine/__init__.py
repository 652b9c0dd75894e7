"""The machine that a program runs on, importing nothing of ours.

- `device`: the default device, asked for in one place
- `processor`: the CPU as far as it decides which code XLA makes for it
- `conditions`: what decides bits beside the program, recorded and compared
- `compiling`: XLA asked to compile
- `memory`: what the machine, its control groups and `ulimit` still allow
- `disk`: files written whole or not at all
"""
