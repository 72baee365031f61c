# Prints the physical frames of every thread of the core that gdb has loaded.
import gdb

gdb.execute("set backtrace past-main on")
gdb.execute("set backtrace past-entry on")
gdb.execute("set backtrace limit unlimited")
PHYSICAL = (gdb.NORMAL_FRAME, gdb.SIGTRAMP_FRAME, gdb.ARCH_FRAME, gdb.SENTINEL_FRAME)
out = []
for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
    thread.switch()
    out.append("THREAD %d" % (thread.ptid[1] or thread.ptid[0]))
    try:
        frame, exact = gdb.newest_frame(), True
        while frame is not None:
            if frame.type() in PHYSICAL:
                out.append("FRAME %x %d" % (frame.pc(), exact))
                exact = frame.type() == gdb.SIGTRAMP_FRAME
            frame = frame.older()
    except gdb.error as error:
        out.append("END %s" % error)
gdb.write("\n".join(out) + "\n")
