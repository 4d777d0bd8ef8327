/** Every limit of the chain's own formats, each named with its unit. */

/** geth's txMaxSize: 128 KiB. */
export const transactionBytesMax = 128 * 1024;
/** Addresses and keys together in one transaction. */
export const accessListEntriesMax = 1024;
/**
 * How long a million gas of the slowest contract code is assumed to take: a block's may take a quarter
 * of a view. Seen on busy cores: 115 to 180 (`npm run bench:evm`).
 */
export const evmWorstMsPerMillionGas = 125;
/** EIP-7702: each is a signature to recover. */
export const authorizationsMax = 64;
/** EIP-7825 (Osaka). */
export const transactionGasMax = 1n << 24n;
/**
 * What contract transactions of a block may pay together for bytes: their own base, their data, and
 * the code that they leave behind. It takes little time, unlike what their code does.
 */
export const contractBytesGasMax = 3n * transactionGasMax;
/** EIP-170. */
export const codeBytesMax = 24_576;
/** EIP-3860. */
export const initCodeBytesMax = 49_152;
/** EIP-2681: a nonce is below this. */
export const nonceMax = (1n << 64n) - 1n;

/** Longer data is not a memo that a person reads. */
export const memoBytesMax = 256;

export const extraDataBytesMax = 512;
export const headerBytesMax = 2048;
/** A proposal has to fit a message of the network, with its certificates. */
export const blockBytesMax = 2 * 1024 * 1024;
export const blockTransactionsMax = 20_000;
/**
 * Contract transactions pay for their bytes in gas; this bounds what they add to a block's size.
 */
export const evmLaneBytesMax = 1024 * 1024;
export const receiptBytesMax = 4 * 1024 * 1024;

export const genesisBytesMax = 16 * 1024 * 1024;
export const genesisMembersMax = 1024;
export const genesisAllocMax = 100_000;
export const genesisCurrenciesMax = 64;
/** Of one account. */
export const genesisSlotsMax = 10_000;
export const dialAddressesMax = 8;
/** Peer id and addresses together: everybody reads them at every change of the members. */
export const ingressBytesMax = 300;
export const nameCharsMax = 128;
