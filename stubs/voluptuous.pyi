# Inside Home Assistant `voluptuous` is a name for probatio, which is typed: its flows and actions want these types.
from probatio import *
