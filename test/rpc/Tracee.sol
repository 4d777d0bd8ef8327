// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface Registry {
    function memberOf(address account) external view returns (bytes32 memberId, uint64 roles);
}

contract Leaf {
    event Touched(uint value);
    uint public kept;
    constructor() payable {}
    receive() external payable {}
    function touch(uint value) external payable returns (uint) {
        kept = value;
        emit Touched(value);
        return value + 1;
    }
    function look() external view returns (uint) { return kept; }
    function fail(uint value) external {
        kept = value;
        emit Touched(value);
        revert("not today");
    }
    function die(address payable heir) external { selfdestruct(heir); }
}

/// Calls in each way that there is, for the tests of traces.
contract Tracee {
    event Seen(uint at);
    Leaf public leaf;

    constructor() payable { leaf = new Leaf(); }
    receive() external payable {}

    function nested(address payable to) external payable {
        emit Seen(1);
        leaf.touch{value: 3}(7);
        emit Seen(2);
        try leaf.fail(8) {} catch {}
        leaf.look();
        emit Seen(3);
        (bool ok, ) = to.call{value: 5}("");
        require(ok);
    }
    function delegated() external {
        (bool ok, ) = address(leaf).delegatecall(abi.encodeCall(Leaf.look, ()));
        require(ok);
    }
    function made(bytes32 salt, address payable heir) external {
        Leaf one = new Leaf{salt: salt, value: 11}();
        one.die(heir);
    }
    function again(bytes32 salt) external {
        new Leaf{salt: salt}();
        try this.clash(salt) {} catch {}
    }
    function clash(bytes32 salt) external { new Leaf{salt: salt}(); }
    function roles(Registry registry, address who) external view returns (uint64 found) {
        (, found) = registry.memberOf(who);
    }
    function poor() external {
        (bool ok, ) = address(leaf).call{value: 1 ether}("");
        require(!ok);
    }
    function lost(address payable to) external {
        try this.payThenFail(to) {} catch {}
    }
    function payThenFail(address payable to) external {
        (bool ok, ) = to.call{value: 5}("");
        require(!ok, "taken back");
    }
    function hashed(bytes calldata data) external pure returns (bytes32) { return sha256(data); }
    function fails() external { leaf.fail(9); }
    function burns() external pure { while (true) {} }
    /// As many calls as there is gas for, each with as much input.
    function many(uint calls, uint bytesEach) external {
        address to = address(leaf);
        assembly {
            for { let i := 0 } lt(i, calls) { i := add(i, 1) } {
                pop(call(gas(), 0x1234, 0, 0, bytesEach, 0, 0))
            }
            pop(to)
        }
    }
}
