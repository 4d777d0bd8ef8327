import { keccak256 } from '#src/crypto/keccak.ts';
import { sign } from '#src/crypto/secp256k1.ts';
import { concatBytes, uintToBytes } from '#src/lib/bytes.ts';

export type PrecompileInput = {
  readonly name: string;
  readonly address: bigint;
  readonly data: Uint8Array;
  readonly output: number;
};

/** An input for each precompile that takes it as long for its gas as any that is known. */
export function precompileInputs(): PrecompileInput[] {
  const key = new Uint8Array(32).fill(7);
  const digest = keccak256(key);
  const { signature, yParity } = sign(digest, key);
  const v = uintToBytes(27n + BigInt(yParity), 32);
  const bytes = (length: number) => new Uint8Array(length).fill(0xa7);
  const point = concatBytes(uintToBytes(1n, 32), uintToBytes(2n, 32));
  const scalar = uintToBytes((1n << 256n) - 1n, 32);
  const modexp = (base: number, exponent: number, modulus: number) =>
    concatBytes(
      ...[base, exponent, modulus].map((length) => uintToBytes(BigInt(length), 32)),
      ...[bytes(base), bytes(exponent), bytes(modulus).fill(0xf1)],
    );
  const rounds = (count: number) =>
    concatBytes(uintToBytes(BigInt(count), 4), bytes(208), Uint8Array.of(1));
  return [
    { name: 'ecrecover', address: 1n, data: concatBytes(digest, v, signature), output: 32 },
    { name: 'sha256 of nothing', address: 2n, data: bytes(0), output: 32 },
    { name: 'sha256 of 32 KiB', address: 2n, data: bytes(32_768), output: 32 },
    { name: 'ripemd160 of 32 KiB', address: 3n, data: bytes(32_768), output: 32 },
    { name: 'identity of nothing', address: 4n, data: bytes(0), output: 0 },
    { name: 'identity of 32 KiB', address: 4n, data: bytes(32_768), output: 0 },
    { name: 'modexp 32, 32, 32', address: 5n, data: modexp(32, 32, 32), output: 32 },
    { name: 'modexp 256, 32, 256', address: 5n, data: modexp(256, 32, 256), output: 256 },
    { name: 'modexp 1024, 1, 1024', address: 5n, data: modexp(1024, 1, 1024), output: 1024 },
    { name: 'modexp 1, 1, 1', address: 5n, data: modexp(1, 1, 1), output: 1 },
    { name: 'bn254 addition', address: 6n, data: concatBytes(point, point), output: 64 },
    { name: 'bn254 multiplication', address: 7n, data: concatBytes(point, scalar), output: 64 },
    { name: 'bn254 pairing of one', address: 8n, data: pairs(1), output: 32 },
    { name: 'bn254 pairing of ten', address: 8n, data: pairs(10), output: 32 },
    { name: 'blake2f, 12 rounds', address: 9n, data: rounds(12), output: 64 },
    { name: 'blake2f, 100,000 rounds', address: 9n, data: rounds(100_000), output: 64 },
    { name: 'p256verify', address: 0x100n, data: hexBytes(p256), output: 32 },
  ];
}

export function hexBytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

/** The generators of both groups, which pair to something else than one. */
function pairs(count: number): Uint8Array {
  const g1 = [1n, 2n];
  const g2 = [
    11559732032986387107991004021392285783925812861821192530917403151452391805634n,
    10857046999023057135944570762232829481370756359578518086990519993285655852781n,
    4082367875863433681332203403145435568316851327593401208105741076214120093531n,
    8495653923123431417604973247489272438418190587263600148770280649306958101930n,
  ];
  const one = concatBytes(...[...g1, ...g2].map((value) => uintToBytes(value, 32)));
  return concatBytes(...Array.from({ length: count }, () => one));
}

/** Of RFC 6979's key and message "sample" with SHA-256: digest, r, s, x, y. */
const p256 = [
  'af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf',
  'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716',
  'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6',
  '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
].join('');
