import contracts from './predeploys.json' with { type: 'json' };

/**
 * Contracts that tools expect to find: the factory of Arachnid's deterministic deployments, which
 * Foundry and Hardhat use, the same of Safe's, and Multicall3 as viem carries it.
 */
export const predeploys: Readonly<Record<string, Readonly<Record<string, string>>>> = contracts;
