// build: gcc -O0
// build: gcc -O2
// build: gcc -O2 -DFRAME
// build: gcc -O2 -DINDIRECT
// chain: asm_leaf asm_outer caller outer main
#define N __attribute__((noinline, noclone))
volatile int sink;
extern int asm_outer(int *p);
#ifdef FRAME
#define IN "push %rbp\n mov %rsp,%rbp\n push %rbx\n sub $40,%rsp\n"
#define OUT "add $40,%rsp\n pop %rbx\n pop %rbp\n ret\n"
#else
#define IN "push %rbx\n push %r12\n sub $56,%rsp\n xor %ebx,%ebx\n"
#define OUT "add $56,%rsp\n pop %r12\n pop %rbx\n ret\n"
#endif
#ifdef INDIRECT
#define CALL "lea asm_leaf(%rip),%rax\n call *%rax\n"
#else
#define CALL "call asm_leaf\n"
#endif
__asm__(".text\n.type asm_leaf,@function\nasm_leaf:\n" IN "mov (%rdi),%eax\n" OUT ".size asm_leaf,.-asm_leaf\n"
        ".globl asm_outer\n.type asm_outer,@function\nasm_outer:\n" IN CALL "test %eax,%eax\n je 1f\n inc %eax\n 1:" OUT
        ".size asm_outer,.-asm_outer\n");
N int caller(int n) { char b[64]; b[n] = 2; int r = asm_outer((int *)(long)(n - 1)); sink = b[n]; return r + 1; }
N int outer(int n) { int r = caller(n) + 1; sink = r; return r; }
int main(int argc, char **argv) { int r = outer(argc); sink = r; return r; }
