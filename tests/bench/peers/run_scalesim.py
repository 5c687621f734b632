# SPDX-License-Identifier: Apache-2.0
"""Runs in a venv that has SCALE-Sim and nothing of ours: one topology; prints its own seconds and cycles as JSON.

``cycles``: the least of that tool that says cycles: operand matrices and the demand matrices of its array, whose lines
are the clocks; no memories, no reports. ``reports``: the whole tool without its traces (its command line always writes
them, whatever -s says).
"""

import json
import sys
import time

what, config, topology, layout, out = sys.argv[1:]
begun = time.perf_counter()
from scalesim.scale_sim import scalesim  # noqa: E402

tool = scalesim(save_disk_space=True, verbose=False, config=config, topology=topology, layout=layout)
imported = time.perf_counter()
cpu = time.process_time()
cycles = []
if what == "reports":
    tool.run_scale(top_path=out)
    cycles = [int(layer.get_compute_report_items()[1]) for layer in tool.runner.single_layer_sim_object_list]
else:
    from scalesim.single_layer_sim import single_layer_sim

    for i in range(tool.topo.get_num_layers()):
        layer = single_layer_sim()
        layer.set_params(
            layer_id=i, config_obj=tool.config, topology_obj=tool.topo, layout_obj=tool.layout, verbose=False
        )
        inputs, weights, sums = (
            get()[1]
            for get in (
                layer.op_mat_obj.get_ifmap_matrix,
                layer.op_mat_obj.get_filter_matrix,
                layer.op_mat_obj.get_ofmap_matrix,
            )
        )
        layer.compute_system.set_params(
            config_obj=tool.config, ifmap_op_mat=inputs, filter_op_mat=weights, ofmap_op_mat=sums,
            sparsity_filter_array=layer.op_mat_obj.sparse_filter_array,
        )  # fmt: skip
        cycles.append(len(layer.compute_system.get_demand_matrices()[0]) - 1)
done = time.perf_counter()
print(json.dumps({"seconds": done - imported, "cpu_seconds": time.process_time() - cpu, "cycles": cycles}))
