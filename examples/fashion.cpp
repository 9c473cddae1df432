#include <fovea/fovea.h>

#include <iostream>

using namespace fovea;

int main() {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 28, 28});                          // [N, 1, 28, 28]
    x = max_pool(relu(conv2d(x, {.out = 32, .kernel = 3, .pad = 1})), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = 64, .kernel = 3, .pad = 1})), {.kernel = 2});
    const Value logits = linear(flatten(x), {.out = 10});                        // [N, 10]
    net.output("logits", logits);

    Trainer trainer(cross_entropy(logits), Sgd{.lr = 0.05, .momentum = 0.9});
    Loader pictures(open_dataset("fashion-mnist", Split::train), {.batch = 128, .shuffle = true, .seed = 1});
    for (const Batch& batch : pictures) trainer.step(batch);                     // one epoch

    const Evaluation result = evaluate(net, trainer.parameters(), open_dataset("fashion-mnist", Split::test));
    std::cout << "test accuracy " << 100 * result.top1 << " %\n";
    save(trainer.parameters(), "fashion.safetensors");
    return result.top1 > 0.8 ? 0 : 1;
}
