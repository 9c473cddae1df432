#include <mutex>

#include "core/text.h"
#include "fovea/runtime.h"

namespace fovea {

struct Program::Impl {
    using Shapes = std::map<std::string, std::string>;  // input -> shape as text: the key of the cache

    struct Entry {
        explicit Entry(Executable e) : executable(std::move(e)) {}
        Executable executable;
        std::vector<std::unique_ptr<Session>> free;  // sessions nobody runs at the moment
    };

    Entry& entry_for(const std::map<std::string, Shape>& shapes) {
        Shapes key;
        for (const auto& [name, shape] : shapes) key[name] = shape.str();
        auto it = entries.find(key);
        if (it == entries.end()) it = entries.emplace(key, std::make_unique<Entry>(compile(graph, shapes, options))).first;
        return *it->second;
    }

    Graph graph;
    std::shared_ptr<State> state;
    CompileOptions options;
    std::map<Shapes, std::unique_ptr<Entry>> entries;
    std::mutex mutex;
};

Program::Program(Graph graph, std::shared_ptr<State> state, CompileOptions options) : impl_(std::make_unique<Impl>()) {
    impl_->graph = std::move(graph);
    impl_->state = std::move(state);
    impl_->options = std::move(options);
}
Program::~Program() = default;
Program::Program(Program&&) noexcept = default;

const Graph& Program::graph() const { return impl_->graph; }
const std::shared_ptr<State>& Program::state() const { return impl_->state; }

Executable Program::executable(const std::map<std::string, Shape>& input_shapes) {
    const std::lock_guard lock(impl_->mutex);
    return impl_->entry_for(input_shapes).executable;
}

std::vector<Tensor> Program::run(const std::map<std::string, Tensor>& inputs, const RunOptions& options) {
    std::map<std::string, Shape> shapes;
    for (const auto& [name, tensor] : inputs) shapes[name] = tensor.shape();
    Impl::Entry* entry = nullptr;
    std::unique_ptr<Session> session;
    {
        const std::lock_guard lock(impl_->mutex);
        entry = &impl_->entry_for(shapes);
        if (!entry->free.empty()) {
            session = std::move(entry->free.back());
            entry->free.pop_back();
        }
    }
    if (!session) session = std::make_unique<Session>(entry->executable, impl_->state);
    std::vector<Tensor> outputs = session->run(inputs, options);
    const std::lock_guard lock(impl_->mutex);
    entry->free.push_back(std::move(session));
    return outputs;
}

}  // namespace fovea
