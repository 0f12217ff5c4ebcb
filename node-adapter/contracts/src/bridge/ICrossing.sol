// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title  Whoever has several chains cross at once
/// @notice Called by `SharedBridge.crossTogether` on its caller.
interface ICrossing {
    /// @notice Executes batches of several chains. Each one's sends and takes are noted; when this has returned, the bridge
    ///         compares all lanes and moves the amounts, or undoes everything.
    /// @param  data What the caller gave to `crossTogether`.
    function onCross(bytes calldata data) external;
}
