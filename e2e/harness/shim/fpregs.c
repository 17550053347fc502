/*
 * Preloaded into the User-mode Linux kernel (6.1), which keeps the extended processor state of its processes in a buffer
 * of fixed size. The host kernel accepts PTRACE_SETREGSET for NT_X86_XSTATE only with the full size of the processor's
 * XSAVE area, so that on processors with larger areas (AMX) the guest panics at its first exec. This ptrace() pads such
 * requests with zeroes up to the size that the host wants, and clears the header bits of components that the guest's
 * buffer cannot hold.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { XSTATE_NOTE = 0x202, HEADER_OFFSET = 512, AREA_LIMIT = 1 << 16 };

/* x87, SSE, AVX, MPX, AVX-512 and PKRU: the components that lie below the end of the guest's buffer. */
static const uint64_t held_components = 0x2ff;

static unsigned char area[AREA_LIMIT] __attribute__((aligned(64)));
static size_t area_size;

static size_t host_area_size(long pid)
{
	struct iovec probe = { area, sizeof area };

	if (area_size == 0 && syscall(SYS_ptrace, PTRACE_GETREGSET, pid, (void *)XSTATE_NOTE, &probe) == 0)
		area_size = probe.iov_len;
	return area_size;
}

static long set_padded(long pid, const struct iovec *given)
{
	struct iovec padded = { area, host_area_size(pid) };
	uint64_t components;

	memset(area, 0, padded.iov_len);
	memcpy(area, given->iov_base, given->iov_len);
	memcpy(&components, area + HEADER_OFFSET, sizeof components);
	components &= held_components;
	memcpy(area + HEADER_OFFSET, &components, sizeof components);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, (void *)XSTATE_NOTE, &padded);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list args;
	va_start(args, request);
	long pid = va_arg(args, int);
	void *addr = va_arg(args, void *);
	void *data = va_arg(args, void *);
	va_end(args);

	if (request == PTRACE_SETREGSET && addr == (void *)XSTATE_NOTE) {
		const struct iovec *given = data;
		if (given->iov_len > HEADER_OFFSET + 8 && given->iov_len < host_area_size(pid))
			return set_padded(pid, given);
	}
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
		long word;
		long failed = syscall(SYS_ptrace, request, pid, addr, &word);
		return failed ? failed : word;
	}
	return syscall(SYS_ptrace, request, pid, addr, data);
}
