// What every victim needs, and nothing else.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A function that stays one physical frame.
#define FRAME __attribute__((noinline, noipa))

// Work after a call, so that the call is not turned into a jump.
static volatile long kept;
#define KEEP() (kept++)

// Names code that no symbol table knows: the judge reads these lines.
#define RANGE(name, start, end) dprintf(2, "RANGE %s %p %p\n", name, (void *)(start), (void *)(end))

// A null pointer that the compiler cannot see through.
static void *volatile nothing;

// Copies a file; returns a descriptor of the copy.
__attribute__((unused)) static void copy_file(const char *from, int to) {
    char buffer[65536];
    FILE *in = fopen(from, "r");
    size_t n;
    while (in && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        if (write(to, buffer, n) < 0) _exit(90);
    if (!in || ferror(in)) _exit(91);
    fclose(in);
}

#define MUST(what) do { if ((what) < 0) { perror(#what); _exit(92); } } while (0)
