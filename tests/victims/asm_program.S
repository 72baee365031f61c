// CHAIN asm_leaf,asm_middle,asm_top,main
// CAUSE A program wholly in assembly, with frame pointers but without call frame information, reads through a null pointer.
// SAYS read through a null pointer
// SAYS at offset 0x8
// SIGNAL SIGSEGV
// BUILD -O2
    .text
    .globl main, asm_top, asm_middle, asm_leaf
    .type asm_leaf,@function
asm_leaf:
    push %rbp
    mov %rsp, %rbp
    xor %edi, %edi
    mov 8(%rdi), %rax
    pop %rbp
    ret
    .size asm_leaf, .-asm_leaf
    .type asm_middle,@function
asm_middle:
    push %rbp
    mov %rsp, %rbp
    sub $64, %rsp
    call asm_leaf
    add $1, %rax
    leave
    ret
    .size asm_middle, .-asm_middle
    .type asm_top,@function
asm_top:
    push %rbp
    mov %rsp, %rbp
    push %rbx
    sub $24, %rsp
    call asm_middle
    add $2, %rax
    mov -8(%rbp), %rbx
    leave
    ret
    .size asm_top, .-asm_top
    .type main,@function
main:
    push %rbp
    mov %rsp, %rbp
    call asm_top
    pop %rbp
    ret
    .size main, .-main
    .section .note.GNU-stack,"",@progbits
