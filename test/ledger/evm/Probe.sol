// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface Registry {
    function memberOf(address account) external view returns (bytes32 memberId, uint64 roles);
    function addStake(uint32 validatorId) external payable;
    function beginUnstake(uint32 validatorId, uint64 power) external;
}

contract Child {
    uint public kept = 7;
    constructor() payable {}
    function die(address payable heir) external { selfdestruct(heir); }
    receive() external payable {}
}

/// Does on request what contracts do, for the tests of the ledger.
contract Probe {
    event Seen(address indexed who, uint value, bytes32 hash);
    error Refused(uint code);

    uint[] public items;
    mapping(uint => uint) public values;
    Child public child;

    constructor() payable {}
    receive() external payable {}

    function set(uint key, uint value) external {
        values[key] = value;
        emit Seen(msg.sender, value, keccak256(abi.encode(value)));
    }
    function refuse(uint code) external pure { revert Refused(code); }
    function burnGas() external { while (true) values[values[0]++] = gasleft(); }
    function spread(address[] calldata to, uint each) external payable {
        for (uint i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: each}("");
            require(ok);
        }
    }
    /// Pays and takes it back: of a call that fails nothing stays.
    function tryPay(address to, uint each) external {
        try this.payThenFail(to, each) {} catch {}
    }
    function payThenFail(address to, uint each) external {
        (bool ok, ) = to.call{value: each}("");
        require(!ok, "paid, and reverted");
    }
    function make(uint value) external { child = new Child{value: value}(); }
    function makeAndDie(uint value, address payable heir) external {
        new Child{value: value}().die(heir);
    }
    function makeAndDieToItself(uint value) external {
        Child made = new Child{value: value}();
        child = made;
        made.die(payable(address(made)));
    }
    function killChild(address payable heir) external { child.die(heir); }
    function dieTo(address payable heir) external { selfdestruct(heir); }
    function facts() external view returns (uint, uint, uint, uint, address, uint, uint) {
        return (
            block.number, block.timestamp, block.chainid, block.basefee, block.coinbase,
            block.prevrandao, block.gaslimit
        );
    }
    function remember(uint back) external {
        values[back] = uint(blockhash(block.number - back));
        values[1000] = block.number;
        values[1001] = block.timestamp;
        values[1002] = block.chainid;
        values[1003] = block.basefee;
        values[1004] = uint160(address(block.coinbase));
        values[1005] = block.prevrandao;
        values[1006] = block.gaslimit;
    }
    function callOther(address to, bytes calldata data, uint value) external payable
        returns (bool ok, bytes memory result)
    {
        (ok, result) = to.call{value: value}(data);
        values[2000] = ok ? 1 : 2;
        values[2001] = uint(keccak256(result));
    }
    function staticOther(address to, bytes calldata data) external {
        (bool ok, bytes memory result) = to.staticcall(data);
        values[2000] = ok ? 1 : 2;
        values[2001] = uint(keccak256(result));
    }
    function delegateOther(address to, bytes calldata data) external {
        (bool ok, bytes memory result) = to.delegatecall(data);
        values[2000] = ok ? 1 : 2;
        values[2001] = uint(keccak256(result));
    }
    function rolesOf(Registry registry, address who) external returns (uint64 roles) {
        (, roles) = registry.memberOf(who);
        values[3000] = roles;
    }
}
