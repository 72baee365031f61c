// CHAIN read_age,find_user,handle_request,main
// CAUSE A null pointer to a struct is read at the offset of a member.
// SAYS read through a null pointer
// SAYS at offset 0x18
// SIGNAL SIGSEGV
// BUILD -O2
#include "victim.h"
struct user { char name[24]; long age; };
FRAME long read_age(struct user *u) { return u->age; }
FRAME long find_user(int id) { long a = read_age(nothing); KEEP(); return a + id; }
FRAME long handle_request(int id) { long a = find_user(id + 1); KEEP(); return a; }
int main(void) { long a = handle_request(7); KEEP(); return (int)a; }
