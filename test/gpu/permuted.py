"""What the tests of kernels that permute rows have in common."""

import torch


def capacity_of(rows):
    """Not that of the permuted rows, however many experts a token has."""
    return -(-max(rows, 1) // 4) * 4


def run(kernel, *operands, rows, times=1, **options):
    """The results, with room for `times` as many rows as the launch has."""
    capacity = capacity_of(rows)
    launches, results = kernel.prepare(*operands, rows=rows, capacity=capacity, room=capacity * times, **options)
    launches.run()
    torch.cuda.synchronize()
    return results


def same_bits(found, expected):
    return torch.equal(found.contiguous().view(torch.uint8), expected.contiguous().view(torch.uint8))


def scales_of(result, capacity, rows):
    """Column-major scales as [rows, blocks]."""
    return result.reshape(-1)[: result.shape[1] * capacity].reshape(-1, capacity).T[:rows]
