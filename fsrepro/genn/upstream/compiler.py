"""mlGeNN's compiler for few-spikes networks, for the neurons of this package."""

from __future__ import annotations

from ml_genn.compilers import Compiler, FewSpikeCompiler
from ml_genn.neurons import FewSpikeRelu, FewSpikeReluInput
from pygenn.genn_model import UnresolvedType

from .few_spike import FewSpikeInput, FewSpikeNeuron, FewSpikePair, current
from .membrane import Membrane
from .word import WordInput, WordNeuron

__all__ = ["AnyCodeCompiler"]

NEURONS = (
    FewSpikeNeuron, FewSpikePair, FewSpikeInput, WordNeuron, WordInput, Membrane, FewSpikeRelu,
    FewSpikeReluInput,
)  # fmt: skip


class AnyCodeCompiler(FewSpikeCompiler):
    """Compiles networks of the neurons in ``NEURONS``; ``k`` is their common period.

    The outputs are read one presentation later than mlGeNN does: its stock readout misses the
    spikes that were sent at the last time step. ``precision`` is that of sums, ``"float"`` or
    ``"double"``; potentials are floats.
    """

    def __init__(self, *, precision: str = "float", **options):
        super().__init__(**options)
        self.precision = precision

    def pre_compile(self, network, genn_model, inputs, outputs, **options):
        genn_model.precision = UnresolvedType(self.precision)  # mlGeNN made it one of floats
        state = super().pre_compile(network, genn_model, inputs, outputs, **options)
        for population in network.populations:
            if population.neuron.readout is not None:
                state.pop_pipeline_depth[population] += 1
        return state

    def create_compiled_network(self, genn_model, neurons, connections, state):
        for connection, synapses in connections.items():
            dendrite = getattr(connection.synapse, "dendrite", 0)
            if dendrite:
                synapses.post_target_var = current(dendrite)
        return super().create_compiled_network(genn_model, neurons, connections, state)

    def build_neuron_model(self, pop, model, compile_state):
        if not isinstance(pop.neuron, NEURONS):
            known = ", ".join(kind.__name__ for kind in NEURONS)
            raise NotImplementedError(
                f"population {pop.name!r} is a {type(pop.neuron).__name__}; supported are {known}"
            )
        if pop.neuron.readout is not None:
            model = pop.neuron.readout.add_readout_logic(model)
        return Compiler.build_neuron_model(self, pop, model, compile_state)

    def build_weight_update_model(self, connection, connect_snippet, compile_state):
        update = super().build_weight_update_model(connection, connect_snippet, compile_state)
        synapse, references = connection.synapse, {}
        below, graded = getattr(synapse, "below", False), getattr(synapse, "graded", False)
        add = "addToPost(g);"
        if graded:
            references["Dpre"] = "float", "Doutn" if below else "Dout"
            add = "addToPost(g * Dpre);"
        if below:
            references["Fires"] = "uint8_t", "Below"
            update.model["pre_event_threshold_condition_code"] = "Fires != 0"
            update.model["pre_event_syn_code"] = add
            del update.model["pre_spike_syn_code"]
        elif graded:
            update.model["pre_spike_syn_code"] = add
        if references:
            # Not by add_pre_neuron_var_ref(): it changes a default that all updates share.
            types = [(name, kind) for name, (kind, _) in references.items()]
            update.model["pre_neuron_var_refs"] = types
            update.pre_neuron_var_refs = {name: var for name, (_, var) in references.items()}
        return update
